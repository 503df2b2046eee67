#pragma once
// libnftables. A context belongs to the namespace in which it was opened; a call also needs its thread there,
// since the library opens further sockets. The library keeps global state, so calls of one process wait for
// each other.

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "network/namespace.h"

struct nft_ctx;

namespace rusternetes::network {

class Nft {
 public:
  static Result<Nft> open();  // in the calling thread's namespace
  // Runs commands in nft's own language as one transaction: all of it or nothing. Fails with NotFound where
  // the kernel says that an object does not exist. Returns what the commands print.
  Result<std::string> run(std::string_view commands);
  // The same, with what is listed as JSON (libnftables-json(5)), counters included.
  Result<std::string> run_json(std::string_view commands);
  // The same, without sets' elements: they are not even read, where nothing but a list is asked for.
  Result<std::string> run_terse_json(std::string_view commands);

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  explicit Nft(nft_ctx* context) : context_(context) {}
  Result<std::string> run_with(std::string_view commands, unsigned flags);
  std::unique_ptr<nft_ctx, Free> context_;
};

// Whether the namespace has a table of the family inet with this name.
Result<bool> has_table(const NetworkNamespace& where, std::string_view name);

// Deletes, in one transaction, every table of the family inet whose name begins so. None is success.
Result<> delete_tables(const NetworkNamespace& where, std::string_view prefix);

// Names that go into commands: anything but letters, digits, '.', '_', '-' would let a name end the command.
bool is_safe_name(std::string_view name);

}  // namespace rusternetes::network
