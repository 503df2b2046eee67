#pragma once
// `rhino snapshot`, as it is typed.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "rhino/snapshot_command.h"

namespace rusternetes::rhino::testing {

struct CommandResult {
  int code = -1;
  std::string out, err;
};
inline CommandResult command(std::vector<std::string> words) {
  CLI::App app{"rhino"};
  SnapshotCommand snapshot(app);
  std::reverse(words.begin(), words.end());
  std::ostringstream out, err;
  auto* old_out = std::cout.rdbuf(out.rdbuf());
  auto* old_err = std::cerr.rdbuf(err.rdbuf());
  CommandResult result;
  try {
    app.parse(words);
    result.code = snapshot.run().value_or(-1);
  } catch (const CLI::ParseError& error) {
    result.code = app.exit(error, out, err);
  }
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  result.out = out.str();
  result.err = err.str();
  return result;
}

}  // namespace rusternetes::rhino::testing
