#pragma once
// Standard base64 as Go's encoding/json uses it for []byte.
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::apimachinery {
void base64_append(std::string& out, std::string_view bytes);
// Line breaks are skipped; an error names the byte, as Go does.
Result<std::string> base64_decode(std::string_view text);
}  // namespace rusternetes::apimachinery
