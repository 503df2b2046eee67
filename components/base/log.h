#pragma once
// Logging for people who read a component's output: one line an event, to standard error, with time, level and the
// name of the part that speaks. Secrets never go in (invariant 12).

#include <fmt/core.h>

#include <string_view>

namespace rusternetes::log {

enum class Level { debug, info, warn, error };

// Sets the least level that is printed; `info` until called.
void set_level(Level level);
bool enabled(Level level);
// `part` is the component or controller: "kubelet", "replicaset-controller".
void write(Level level, std::string_view part, std::string_view message);

template <class... A>
void debug(std::string_view part, fmt::format_string<A...> format, A&&... args) {
  if (enabled(Level::debug)) write(Level::debug, part, fmt::format(format, std::forward<A>(args)...));
}
template <class... A>
void info(std::string_view part, fmt::format_string<A...> format, A&&... args) {
  if (enabled(Level::info)) write(Level::info, part, fmt::format(format, std::forward<A>(args)...));
}
template <class... A>
void warn(std::string_view part, fmt::format_string<A...> format, A&&... args) {
  if (enabled(Level::warn)) write(Level::warn, part, fmt::format(format, std::forward<A>(args)...));
}
template <class... A>
void error(std::string_view part, fmt::format_string<A...> format, A&&... args) {
  write(Level::error, part, fmt::format(format, std::forward<A>(args)...));
}

}  // namespace rusternetes::log
