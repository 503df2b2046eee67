// A file of its own, so that a test's build can have other steps.
#include "storage/sqlite/format_steps.h"

namespace rusternetes::storage::sqlite {

std::span<const FormatStep> format_steps() { return {}; }

}  // namespace rusternetes::storage::sqlite
