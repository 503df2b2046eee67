// A connection's first bytes: whatever they are, a decision that a part of them led to is the decision of
// all, and what is as long as the front looks at is decided unless it is a ClientHello cut very small.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "rhino/front_bytes.h"

using namespace rusternetes::rhino;

namespace {

void check(FirstBytes (*classify)(std::string_view), std::string_view bytes) {
  const auto all = classify(bytes);
  for (const std::size_t length : {bytes.size() / 4, bytes.size() / 2, bytes.size() - bytes.size() / 8}) {
    const auto part = classify(bytes.substr(0, length));
    RN_ASSERT(part == FirstBytes::undecided || part == all, "a decision was taken back");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(&classify_plain, bytes);
  check(&classify_tls, bytes);
  return 0;
}
