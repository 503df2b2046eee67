#pragma once
// main() of a program each of whose words is a measurement: its result is one line on standard output.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "base/status.h"

namespace rusternetes::bench {

// `define` adds the words and their options to the command line, `run` measures.
template <class Flags>
int run_word_program(int argc, char** argv, const char* name, const char* purpose,
                     void (*define)(CLI::App&, Flags&),
                     Result<std::string> (*run)(const std::string&, const Flags&)) {
  ::signal(SIGPIPE, SIG_IGN);
  Flags flags;
  CLI::App app{purpose, name};
  define(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  }
  const std::string word = app.get_subcommands().front()->get_name();
  const auto result = run(word, flags);
  if (!result) {
    std::cerr << name << " " << word << ": " << result.error().message << "\n";
    return 1;
  }
  std::cout << *result << "\n";
  return 0;
}

}  // namespace rusternetes::bench
