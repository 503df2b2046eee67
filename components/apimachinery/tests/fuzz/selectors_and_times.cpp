// Texts of queries and fields: a selector prints what parses to the same selector, a time what parses to the same time.
#include <cstddef>
#include <cstdint>
#include <string>

#include "apimachinery/field_selector.h"
#include "apimachinery/label_selector.h"
#include "apimachinery/time.h"

using namespace rusternetes::apimachinery;

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
    const auto again = parse_time(format_time(*time));
    RN_ASSERT(again && *again / 1'000'000 == *time / 1'000'000, "a time's text is not stable");
  }
  if (const auto time = parse_micro_time(text)) {
    const auto again = parse_micro_time(format_micro_time(*time));
    RN_ASSERT(again && *again == *time, "a micro time's text is not stable");
  }
  (void)parse_duration(text);
  return 0;
}
