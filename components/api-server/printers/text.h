#pragma once
// Texts that several printers share.

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/view.h"

namespace rusternetes::api_server {

// "5m", "3d4h"; "<unknown>" for no time.
std::string age_of(std::int64_t since_us, std::int64_t now_us);

inline std::string_view or_none(std::string_view text) {
  return text.empty() ? std::string_view("<none>") : text;
}
std::string lowered(std::string_view text);

// The items' texts with a comma between them.
template <class List>
std::string joined(const List& list, std::string_view separator = ",") {
  std::string out;
  bool is_first = true;
  for (const std::string_view one : list) {
    if (!is_first) out += separator;
    is_first = false;
    out += one;
  }
  return out;
}

// At most `limit` items, and how many more there are.
class ShortList {
 public:
  explicit ShortList(std::size_t limit) : limit_(limit) {}
  void add(std::string_view item) {
    if (count_++ >= limit_) return;
    if (count_ > 1) text_ += ',';
    text_ += item;
  }
  bool empty() const { return text_.empty(); }
  std::string text() const {
    return count_ > limit_ ? fmt::format("{} + {} more...", text_, count_ - limit_) : text_;
  }

 private:
  std::size_t limit_, count_ = 0;
  std::string text_;
};

template <class Containers>
std::pair<std::string, std::string> names_and_images(const Containers& containers) {
  std::string names, images;
  bool is_first = true;
  for (const auto container : containers) {
    if (!is_first) names += ',', images += ',';
    is_first = false;
    names += container.name();
    images += container.image();
  }
  return {names, images};
}

// "a=1,b=2", or "<none>".
std::string labels_text(const apimachinery::MapView<std::string_view>& labels);
// As a selector is written on a command line; nothing for one that selects all or nothing. An invalid
// selector gives `if_invalid`.
std::string selector_text(const apimachinery::meta_v1::LabelSelector& selector, std::string_view if_invalid);
// The same, "<none>" instead of nothing and "<error>" for an invalid one.
std::string selector_or_none(const apimachinery::meta_v1::LabelSelector& selector);

}  // namespace rusternetes::api_server
