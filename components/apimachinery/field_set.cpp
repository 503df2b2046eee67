#include "apimachinery/field_set.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "apimachinery/json.h"

namespace rusternetes::apimachinery {
namespace {

int sign(int order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }
template <class T>
int order_of(T a, T b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// Numbers come before text, then booleans, lists, maps and null.
int rank(ValueKind kind) {
  switch (kind) {
    case ValueKind::integer:
    case ValueKind::floating:
      return 0;
    case ValueKind::boolean:
      return 2;
    case ValueKind::list:
      return 3;
    case ValueKind::map:
      return 4;
    case ValueKind::null:
      return 5;
    default:
      return 1;
  }
}

// Collects entries that come in order.
class Builder {
 public:
  Builder(Arena& arena, std::size_t limit)
      : entries_(limit ? static_cast<FieldSet::Entry*>(arena.allocate(limit * sizeof(FieldSet::Entry)))
                       : nullptr) {}
  void add(const PathElement& element, bool is_member, const FieldSet& children) {
    if (is_member || !children.empty())
      std::construct_at(entries_ + size_++, FieldSet::Entry{element, children, is_member});
  }
  void add(const FieldSet::Entry& entry) { std::construct_at(entries_ + size_++, entry); }
  FieldSet set() const { return {entries_, size_}; }

 private:
  FieldSet::Entry* entries_;
  std::uint32_t size_ = 0;
};

}  // namespace

PathElement PathElement::of_field(std::string_view name) {
  PathElement element;
  element.size = static_cast<std::uint32_t>(name.size());
  element.text = name.data();
  return element;
}
PathElement PathElement::of_keys(std::span<const KeyField> sorted) {
  PathElement element;
  element.kind = Kind::key;
  element.size = static_cast<std::uint32_t>(sorted.size());
  element.keys = sorted.data();
  return element;
}
PathElement PathElement::of_value(const Value* value) {
  PathElement element;
  element.kind = Kind::value;
  element.value = value;
  return element;
}
PathElement PathElement::of_index(std::int64_t index) {
  PathElement element;
  element.kind = Kind::index;
  element.index = index;
  return element;
}

int compare_values(const Value& a, const Value& b) {
  const int a_rank = rank(a.kind), b_rank = rank(b.kind);
  if (a_rank != b_rank) return order_of(a_rank, b_rank);
  switch (a_rank) {
    case 0: {
      if (a.kind == ValueKind::integer && b.kind == ValueKind::integer) return order_of(a.integer, b.integer);
      const double x = a.kind == ValueKind::integer ? static_cast<double>(a.integer) : a.floating;
      const double y = b.kind == ValueKind::integer ? static_cast<double>(b.integer) : b.floating;
      return order_of(x, y);
    }
    case 1:
      return sign(a.str().compare(b.str()));
    case 2:
      return order_of(a.boolean, b.boolean);
    case 3:
      for (std::uint32_t i = 0; i < std::min(a.size, b.size); ++i)
        if (const int order = compare_values(a.items[i], b.items[i])) return order;
      return order_of(a.size, b.size);
    case 4:
      for (std::uint32_t i = 0; i < 2 * std::min(a.size, b.size); ++i)
        if (const int order = compare_values(a.items[i], b.items[i])) return order;
      return order_of(a.size, b.size);
    default:
      return 0;
  }
}

int compare(const PathElement& a, const PathElement& b) {
  if (a.kind != b.kind) return order_of(a.kind, b.kind);
  switch (a.kind) {
    case PathElement::Kind::field: {
      const int order = std::memcmp(a.text, b.text, std::min(a.size, b.size));
      return order ? sign(order) : order_of(a.size, b.size);
    }
    case PathElement::Kind::key:
      for (std::uint32_t i = 0; i < std::min(a.size, b.size); ++i) {
        if (const int order = sign(a.keys[i].name.compare(b.keys[i].name))) return order;
        if (const int order = compare_values(a.keys[i].value, b.keys[i].value)) return order;
      }
      return order_of(a.size, b.size);
    case PathElement::Kind::value:
      return compare_values(*a.value, *b.value);
    case PathElement::Kind::index:
      return order_of(a.index, b.index);
  }
  return 0;
}

const FieldSet::Entry* FieldSet::find(const PathElement& element) const {
  const auto found =
      std::lower_bound(entries, entries + size, element,
                       [](const Entry& e, const PathElement& p) { return compare(e.element, p) < 0; });
  return found != entries + size && compare(found->element, element) == 0 ? found : nullptr;
}

bool FieldSet::has(std::span<const PathElement> path) const {
  const FieldSet* at = this;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const Entry* entry = at->find(path[i]);
    if (!entry) return false;
    if (i + 1 == path.size()) return entry->is_member;
    at = &entry->children;
  }
  return false;
}

std::size_t FieldSet::count() const {
  std::size_t members = 0;
  for (const auto& entry : all()) members += entry.is_member + entry.children.count();
  return members;
}

FieldSet make_field_set(Arena& arena, std::span<FieldSet::Entry> entries) {
  auto less = [](const FieldSet::Entry& a, const FieldSet::Entry& b) {
    return compare(a.element, b.element) < 0;
  };
  if (!std::is_sorted(entries.begin(), entries.end(), less))
    std::stable_sort(entries.begin(), entries.end(), less);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (kept > 0 && compare(entries[kept - 1].element, entries[i].element) == 0) {
      entries[kept - 1].is_member |= entries[i].is_member;
      if (!entries[i].children.empty()) entries[kept - 1].children = entries[i].children;
    } else {
      entries[kept++] = entries[i];
    }
  }
  Builder out(arena, kept);
  for (std::size_t i = 0; i < kept; ++i) out.add(entries[i]);
  return out.set();
}

FieldSet field_set_of(Arena& arena, std::initializer_list<std::initializer_list<std::string_view>> paths) {
  FieldSet all;
  for (const auto& path : paths) {
    FieldSet one;
    bool is_member = true;
    for (auto name = std::rbegin(path); name != std::rend(path); ++name) {
      FieldSet::Entry entry{PathElement::of_field(*name), one, is_member};
      one = make_field_set(arena, {&entry, 1});
      is_member = false;
    }
    all = unite(arena, all, one);
  }
  return all;
}

FieldSet unite(Arena& arena, const FieldSet& a, const FieldSet& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  Builder out(arena, a.size + b.size);
  std::uint32_t i = 0, j = 0;
  while (i < a.size && j < b.size) {
    const int order = compare(a.entries[i].element, b.entries[j].element);
    if (order == 0)
      out.add(a.entries[i].element, a.entries[i].is_member || b.entries[j].is_member,
              unite(arena, a.entries[i].children, b.entries[j].children));
    else
      out.add(order < 0 ? a.entries[i] : b.entries[j]);
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  for (; i < a.size; ++i) out.add(a.entries[i]);
  for (; j < b.size; ++j) out.add(b.entries[j]);
  return out.set();
}

FieldSet intersect(Arena& arena, const FieldSet& a, const FieldSet& b) {
  if (a.empty() || b.empty()) return {};
  Builder out(arena, std::min(a.size, b.size));
  std::uint32_t i = 0, j = 0;
  while (i < a.size && j < b.size) {
    const int order = compare(a.entries[i].element, b.entries[j].element);
    if (order == 0)
      out.add(a.entries[i].element, a.entries[i].is_member && b.entries[j].is_member,
              intersect(arena, a.entries[i].children, b.entries[j].children));
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return out.set();
}

namespace {

FieldSet subtract(Arena& arena, const FieldSet& a, const FieldSet& b, bool is_recursive) {
  if (a.empty() || b.empty()) return a;
  Builder out(arena, a.size);
  std::uint32_t i = 0, j = 0;
  while (i < a.size && j < b.size) {
    const FieldSet::Entry &mine = a.entries[i], &other = b.entries[j];
    const int order = compare(mine.element, other.element);
    if (order < 0) {
      out.add(mine);
    } else if (order == 0 && !(is_recursive && other.is_member)) {
      out.add(mine.element, mine.is_member && !other.is_member,
              subtract(arena, mine.children, other.children, is_recursive));
    }
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  for (; i < a.size; ++i) out.add(a.entries[i]);
  return out.set();
}

}  // namespace

FieldSet subtract(Arena& arena, const FieldSet& a, const FieldSet& b) { return subtract(arena, a, b, false); }
FieldSet subtract_recursive(Arena& arena, const FieldSet& a, const FieldSet& b) {
  return subtract(arena, a, b, true);
}

FieldSet leaves(Arena& arena, const FieldSet& set) {
  Builder out(arena, set.size);
  for (const auto& entry : set.all())
    out.add(entry.element, entry.is_member && entry.children.empty(), leaves(arena, entry.children));
  return out.set();
}

bool equal(const FieldSet& a, const FieldSet& b) {
  if (a.size != b.size) return false;
  if (a.entries == b.entries) return true;
  for (std::uint32_t i = 0; i < a.size; ++i) {
    const FieldSet::Entry &x = a.entries[i], &y = b.entries[i];
    if (x.is_member != y.is_member || compare(x.element, y.element) != 0 || !equal(x.children, y.children))
      return false;
  }
  return true;
}

}  // namespace rusternetes::apimachinery
