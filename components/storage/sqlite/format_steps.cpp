#include "storage/sqlite/format_steps.h"

#include <fmt/format.h>

#include "base/log.h"

namespace rusternetes::storage::sqlite {

Result<void> take_format_steps(Database& database, std::span<const FormatStep> steps) {
  for (const FormatStep& step : steps) {
    const std::string row = fmt::format("step/{}", step.name);
    RN_TRY(const auto taken, database.query_integer(
                                 fmt::format("SELECT count(*) FROM meta WHERE name='{}'", row).c_str()));
    if (taken > 0) continue;
    auto done = database.exec(
        fmt::format("BEGIN IMMEDIATE; {}; INSERT INTO meta(name, value) VALUES('{}', 1); COMMIT;", step.sql, row)
            .c_str());
    if (!done) {
      (void)database.exec("ROLLBACK");  // none is open where BEGIN failed
      return done;
    }
    log::info("storage", "the store has taken the step \"{}\"", step.name);
  }
  return {};
}

}  // namespace rusternetes::storage::sqlite
