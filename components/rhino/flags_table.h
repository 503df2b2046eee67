#pragma once
// Every flag of etcd 3.6 with its kind, its default and what becomes of it here. The command line, the
// environment, the configuration file and --help are read off this one table.

#include <span>
#include <string_view>

namespace rusternetes::rhino {

enum class FlagKind { text, boolean, integer, unsigned_integer, duration, urls, list, ignored };
enum class FlagFate {
  works,
  // Taken and checked, and of no effect: what it tunes does not exist here.
  no_effect,
  // Only its default is taken: anything else asks for what does not exist here.
  refused,
};

struct FlagSpec {
  std::string_view name;
  FlagKind kind;
  std::string_view fallback;  // the default, as it would be written
  FlagFate fate;
  std::string_view section;
  std::string_view help;  // of refused ones: why
};

std::span<const FlagSpec> flag_table();
// Null: no such flag.
const FlagSpec* find_flag(std::string_view name);

}  // namespace rusternetes::rhino
