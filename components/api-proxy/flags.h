#pragma once
// The command line, checked and turned into options.

#include <optional>
#include <string>
#include <vector>

#include "api-proxy/proxy.h"

namespace rusternetes::api_proxy {

struct Flags {
  std::string listen_address;
  std::vector<std::string> servers;
  std::string certificate_authority, client_certificate, client_key;  // files
  std::string probe_interval = "1s", probe_timeout = "1s";
  std::string health_address;  // empty: not served
  int verbosity = 0;
};

// Reads the words behind the program's name. Nothing: go on. Else the exit code; what there was to say has
// been said: --help on `out`, one sentence on `err`.
std::optional<int> parse(const std::vector<std::string>& words, Flags& flags, std::ostream& out,
                         std::ostream& err);
// Reads the files. An error is one sentence that names the flag.
Result<Options> options_of(const Flags& flags);

}  // namespace rusternetes::api_proxy
