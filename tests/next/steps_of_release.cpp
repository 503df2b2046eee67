// In the place of storage/sqlite/steps_of_release.cpp: a store that this release has written is told by a table.
#include <array>

#include "storage/sqlite/format_steps.h"

namespace rusternetes::storage::sqlite {

std::span<const FormatStep> format_steps() {
  static constexpr std::array steps{
      FormatStep{"test-next", "CREATE TABLE next_release(id INTEGER PRIMARY KEY, note TEXT NOT NULL);"
                              "INSERT INTO next_release(note) VALUES('written by the next release')"}};
  return steps;
}

}  // namespace rusternetes::storage::sqlite
