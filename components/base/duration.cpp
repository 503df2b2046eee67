#include "base/duration.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace rusternetes {

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return Status(400, "BadRequest", fmt::format("\"{}\" is not a duration such as 60s, 1m30s or 0", text));
  };
  if (text == "0") return std::chrono::milliseconds(0);
  constexpr std::array<std::pair<std::string_view, double>, 4> units{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  constexpr double longest = 366.0 * 24 * 3'600'000;
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0 || rest.front() == '-') return bad();
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    double factor = 0;
    for (const auto& [unit, milliseconds] : units)
      if (rest.starts_with(unit)) {
        factor = milliseconds;
        rest.remove_prefix(unit.size());
        break;
      }
    if (factor == 0) return bad();
    total += number * factor;
    if (total > longest) return bad();
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(total + 0.5));
}

}  // namespace rusternetes
