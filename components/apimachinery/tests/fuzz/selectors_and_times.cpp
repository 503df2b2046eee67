// Texts of queries and fields: a selector prints what parses to the same selector, a time what parses to the same time.
#include <cstddef>
#include <cstdint>
#include <string>

#include "apimachinery/field_selector.h"
#include "apimachinery/label_selector.h"
#include "apimachinery/time.h"

using namespace rusternetes::apimachinery;

namespace {

// An offset takes a time at the edge to the years -1 and 10000, which are printed, as Kubernetes does, and
// not read.
bool has_four_digit_year(std::string_view printed) {
  return printed.size() > 4 && printed[4] == '-' && printed[0] != '-';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto labels = LabelSelector::parse(text)) {
    const std::string printed = labels->to_string();
    const auto again = LabelSelector::parse(printed);
    RN_ASSERT(again && again->to_string() == printed, "a label selector's text is not stable");
  }
  if (const auto fields = FieldSelector::parse(text)) {
    // Terms are sorted as they were written, so only what was printed once is stable.
    const auto again = FieldSelector::parse(fields->to_string());
    RN_ASSERT(again, "a field selector's text is refused");
    const std::string printed = again->to_string();
    const auto third = FieldSelector::parse(printed);
    RN_ASSERT(third && third->to_string() == printed, "a field selector's text is not stable");
  }
  if (const auto time = parse_time(text)) {
    const std::string printed = format_time(*time);
    const auto again = parse_time(printed);
    if (has_four_digit_year(printed)) {
      RN_ASSERT(again && *again <= *time && *time - *again < 1'000'000, "a time's text is not stable");
      RN_ASSERT(format_time(*again) == printed, "a time's text is not stable");
    }
  }
  if (const auto time = parse_micro_time(text)) {
    const std::string printed = format_micro_time(*time);
    const auto again = parse_micro_time(printed);
    if (has_four_digit_year(printed))
      RN_ASSERT(again && *again == *time, "a micro time's text is not stable");
  }
  (void)parse_duration(text);
  return 0;
}
