#pragma once
// The server's certificates for both of its halves, HTTP (OpenSSL) and gRPC, read again when the files
// change.

#include <array>
#include <memory>
#include <string>

#include "base/status.h"
#include "rhino/flags.h"

struct ssl_ctx_st;
namespace grpc {
class ServerCredentials;
}

namespace rusternetes::rhino {

class ServerCertificates {
 public:
  // The files must exist and fit together.
  static Result<std::unique_ptr<ServerCertificates>> load(const TlsFlags& flags);

  // For a new connection. Looks at the files; what cannot be used is logged and the old ones stay. One
  // thread's.
  std::shared_ptr<ssl_ctx_st> http_context();
  // Follows the files by itself, within a second or two.
  std::shared_ptr<grpc::ServerCredentials> grpc_credentials() const;

 private:
  // Of one file: what stat() says that changes when it is replaced.
  struct Stamp {
    std::int64_t inode = 0, size = -1, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;
  explicit ServerCertificates(TlsFlags flags) : flags_(std::move(flags)) {}
  Stamps stamps() const;
  Result<std::shared_ptr<ssl_ctx_st>> make_context() const;

  TlsFlags flags_;
  Stamps stamps_;
  std::shared_ptr<ssl_ctx_st> context_;
};

// --auto-tls: certificate and key in DATA-DIR/fixtures/client, made if missing, and named in flags.tls.
// Nothing where certificates were named.
Result<void> ensure_self_signed(Flags& flags);

// --tls-min-version, --tls-max-version and --cipher-suites for the whole process, gRPC's half too, which has
// no such options of its own: before the first use of TLS.
Result<void> restrict_tls(const TlsFlags& flags);

}  // namespace rusternetes::rhino
