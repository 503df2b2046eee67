#pragma once
// A ByteStream over a Transport: what is left of an HTTP/1.1 connection after 101. Internal to this folder.

#include <memory>
#include <string>

#include "http/message.h"
#include "http/transport.h"

namespace rusternetes::http {

// `already_read` comes first. `keep` lives as long as the stream (the connection's book-keeping).
// Reading and writing know no deadline: a peer may rest for hours, and that it is gone TCP finds out (prepare_tcp).
std::unique_ptr<ByteStream> make_stream(std::shared_ptr<Transport> transport, std::string already_read,
                                        std::shared_ptr<void> keep);

// A stream that knows of its break although nobody reads or writes it.
class Breakable {
 public:
  virtual Task<> wait_broken() = 0;

 protected:
  ~Breakable() = default;
};

// Returns once a Breakable stream (one of make_stream(), a tunnel) has broken or is closed; never of other streams. For
// one coroutine.
Task<> wait_broken(ByteStream& stream);

}  // namespace rusternetes::http
