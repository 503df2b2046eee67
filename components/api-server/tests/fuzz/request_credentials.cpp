// Headers, token files and certificates, as bytes from outside.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api-server/authn/authenticator.h"
#include "api-server/authn/impersonation.h"
#include "api-server/authn/token_file.h"
#include "api-server/authn/x509.h"

using namespace rusternetes::api_server;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4) {
    case 0:
      (void)user_from_certificate(text);
      break;
    case 1:
      (void)TokenFile::parse(text, "fuzz");
      break;
    case 2: {
      const std::string_view protocols[] = {text};
      (void)websocket_bearer_token(protocols);
      (void)bearer_token(text);
      break;
    }
    case 3: {
      std::vector<std::pair<std::string, std::string>> headers;
      for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos)
          headers.emplace_back("impersonate-" + std::string(line.substr(0, colon)), line.substr(colon + 1));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      }
      const auto parsed = parse_impersonation(headers, {});
      // Whoever is impersonated was asked about.
      if (parsed && *parsed && ((*parsed)->needed.empty() || (*parsed)->user.name.empty())) abort();
      break;
    }
  }
  return 0;
}
