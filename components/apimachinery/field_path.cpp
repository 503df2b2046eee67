#include "apimachinery/field_path.h"

#include <vector>

namespace rusternetes::apimachinery {

void FieldPath::append_to(std::string& out) const {
  if (kind_ == Kind::none) {
    out += "<nil>";
    return;
  }
  // Schemas may nest deeper than the stack is to be trusted, so no recursion.
  std::vector<const FieldPath*> segments;
  for (const FieldPath* path = this; path != nullptr && path->kind_ != Kind::none; path = path->parent_)
    segments.push_back(path);
  bool is_root = true;
  while (!segments.empty()) {
    const FieldPath& segment = *segments.back();
    segments.pop_back();
    if (segment.kind_ == Kind::name) {
      if (!is_root) out += '.';
      out += segment.text_;
    } else {
      out += '[';
      out += segment.kind_ == Kind::index ? std::to_string(segment.index_) : std::string(segment.text_);
      out += ']';
    }
    is_root = false;
  }
}

std::string FieldPath::to_string() const {
  std::string out;
  append_to(out);
  return out;
}

}  // namespace rusternetes::apimachinery
