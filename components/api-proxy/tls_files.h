#pragma once
// The certificates that probes use, read anew when their files change.

#include <array>
#include <string>

#include "base/status.h"
#include "http/client.h"

namespace rusternetes::api_proxy {

class TlsFiles {
 public:
  struct Paths {
    std::string authority, certificate, key;  // the latter two may be empty, both
  };
  // An error is one sentence that names the flag.
  static Result<TlsFiles> read(Paths paths);
  // As the files say now. While they cannot be used, or do not fit together since somebody is just writing
  // them: as they said last; why is logged once. Looks at the files, which takes some microseconds.
  const http::ClientTls& current();

 private:
  // What tells whether a file is another one than before: inode, size, and when it was changed. Zeros: none
  // is there.
  using Stamp = std::array<std::int64_t, 4>;
  using Stamps = std::array<Stamp, 3>;
  explicit TlsFiles(Paths paths) : paths_(std::move(paths)) {}
  Stamps stamps() const;
  Paths paths_;
  Stamps seen_{};
  http::ClientTls tls_;
};

}  // namespace rusternetes::api_proxy
