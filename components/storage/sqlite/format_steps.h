#pragma once
// What this release adds to a store that an earlier one has made. A step only adds what the release before it leaves
// alone, a table or rows of its own, so that this one can be taken back without the data: what cannot be said in such
// a way waits until the release before can read it, and raises format_version (format.h).

#include <span>

#include "base/status.h"
#include "storage/sqlite/database.h"

namespace rusternetes::storage::sqlite {

struct FormatStep {
  const char* name;  // stands in meta as "step/NAME" once it was taken
  const char* sql;   // statements, run in one transaction with that row
};

// Of this release, in their order.
std::span<const FormatStep> format_steps();

// Takes the steps that the store lacks, each whole or not at all. By the connection that writes, before its first
// write.
Result<void> take_format_steps(Database& database, std::span<const FormatStep> steps = format_steps());

}  // namespace rusternetes::storage::sqlite
