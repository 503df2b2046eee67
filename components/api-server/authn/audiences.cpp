#include "api-server/authn/audiences.h"

#include <algorithm>

namespace rusternetes::api_server {

Audiences intersect(std::span<const std::string> offered, std::span<const std::string> wanted) {
  Audiences out;
  for (const std::string& audience : wanted)
    if (std::find(offered.begin(), offered.end(), audience) != offered.end()) out.push_back(audience);
  return out;
}

}  // namespace rusternetes::api_server
