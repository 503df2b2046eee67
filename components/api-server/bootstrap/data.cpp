// The bytes of bootstrap.yaml, carried inside the library (RUSTERNETES_BOOTSTRAP_YAML is its path, set by the
// build).

#include "api-server/bootstrap/data.h"

#include <cstddef>

asm(R"(
.section .rodata.rusternetes_bootstrap,"a",%progbits
.local rusternetes_bootstrap
.local rusternetes_bootstrap_end
rusternetes_bootstrap:
.incbin ")" RUSTERNETES_BOOTSTRAP_YAML R"("
rusternetes_bootstrap_end:
.previous
)");

extern "C" {
extern const char rusternetes_bootstrap[];
extern const char rusternetes_bootstrap_end[];
}

namespace rusternetes::api_server::bootstrap {

std::string_view data() {
  return {rusternetes_bootstrap, static_cast<std::size_t>(rusternetes_bootstrap_end - rusternetes_bootstrap)};
}

}  // namespace rusternetes::api_server::bootstrap
