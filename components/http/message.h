#pragma once
// What an HTTP message is made of, for servers and clients alike, whatever the version on the wire.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/task.h"

namespace rusternetes::http {

// Header fields in order; names compare without case and are kept in lower case.
class Headers {
 public:
  void add(std::string name, std::string value);
  void set(std::string name, std::string value);
  void remove(std::string_view name);
  // The first value, or nothing.
  std::optional<std::string_view> get(std::string_view name) const;
  std::vector<std::string_view> all(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Bytes that somebody keeps alive: a cached encoding goes to many sockets without a copy.
struct Slice {
  std::string_view bytes;
  std::shared_ptr<const void> owner;

  Slice() = default;
  Slice(std::string_view bytes, std::shared_ptr<const void> owner) : bytes(bytes), owner(std::move(owner)) {}
  // Takes the string.
  static Slice own(std::string text);
  // For text that outlives everything (literals).
  static Slice literal(std::string_view text) { return Slice{text, nullptr}; }
};

struct RequestHead {
  std::string method;     // upper case
  std::string target;     // origin form, still percent-encoded: "/api/v1/pods?limit=5"
  std::string authority;  // Host or :authority
  Headers headers;
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

// A connection taken over after 101 (SPDY, WebSocket, an engine's attach) or any plain byte pipe. Belongs to
// one executor; the destructor closes it.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // At least one byte, or empty at the end of the peer's half.
  virtual Task<Result<std::string>> read_some() = 0;
  virtual Task<Result<void>> write(std::string_view bytes) = 0;
  // Ends our half; reading goes on.
  virtual Task<Result<void>> shutdown_write() = 0;
};

}  // namespace rusternetes::http
