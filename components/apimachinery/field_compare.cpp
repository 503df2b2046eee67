#include "apimachinery/field_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <vector>

#include "apimachinery/field_presence.h"
#include "apimachinery/json.h"

namespace rusternetes::apimachinery {

Granularity granularity(const Type& type, const FieldRules* rules) {
  switch (type.kind) {
    case TypeKind::structure:
      return type.is_atomic || (rules && rules->is_atomic_map) ? Granularity::leaf : Granularity::structure;
    case TypeKind::map:
      return rules && rules->is_atomic_map ? Granularity::leaf : Granularity::map;
    case TypeKind::any:
      return rules && rules->is_atomic_map ? Granularity::leaf : Granularity::deduced;
    case TypeKind::list:
      if (!rules) return Granularity::leaf;
      switch (rules->list_kind) {
        case ListKind::atomic:
          return Granularity::leaf;
        case ListKind::set:
          return Granularity::list_set;
        case ListKind::map:
          return Granularity::list_map;
        case ListKind::unspecified:
          break;
      }
      if (!rules->patch_merge) return Granularity::leaf;
      return rules->merge_key.empty() ? Granularity::list_set : Granularity::list_map;
    default:
      return Granularity::leaf;
  }
}

std::span<const std::string_view> list_keys(const FieldRules& rules) {
  if (rules.list_kind == ListKind::unspecified) return {&rules.merge_key, 1};
  return rules.list_keys;
}

namespace {

// Shared memory says that nothing below can differ.
bool is_same_memory(const Side& a, const Side& b) {
  if (!a.value || !b.value || a.value->kind != b.value->kind || a.value->size != b.value->size) return false;
  switch (a.value->kind) {
    case ValueKind::list:
    case ValueKind::map:
    case ValueKind::structure:
      return a.value->items == b.value->items;
    default:
      return false;
  }
}

enum Change { added, modified, removed, change_count };

// The part of the three sets that belongs to one place: the place itself, and what is below it.
struct Difference {
  bool self[change_count] = {};
  FieldSet below[change_count];
};

class Comparer {
 public:
  explicit Comparer(Arena& arena) : arena_(arena) {}
  const std::string& error() const { return error_; }

  Difference compare(const Side& a, const Side& b, const Type& type, const FieldRules* rules) {
    if (is_same_memory(a, b)) return {};
    switch (granularity(type, rules)) {
      case Granularity::leaf:
        return leaf(a, b, type);
      case Granularity::structure:
        return structure(a, b, type);
      case Granularity::map:
        return map(a, b, type);
      case Granularity::deduced:
        return deduced(a, b, type);
      case Granularity::list_set:
      case Granularity::list_map:
        return list(a, b, type, *rules);
    }
    return {};
  }

 private:
  static Difference leaf(const Side& a, const Side& b, const Type& type) {
    Difference out;
    if (!a.is_present)
      out.self[added] = true;
    else if (!b.is_present)
      out.self[removed] = true;
    else
      out.self[modified] = !same_leaf(a, b, type);
    return out;
  }

  // The children of one place are collected on three stacks; finish() makes sets of what lies above the
  // marks.
  struct Marks {
    std::size_t at[change_count];
  };
  Marks begin() const { return {{stacks_[added].size(), stacks_[modified].size(), stacks_[removed].size()}}; }
  void push(const PathElement& element, const Difference& difference) {
    for (int change = 0; change < change_count; ++change)
      if (difference.self[change] || !difference.below[change].empty())
        stacks_[change].push_back({element, difference.below[change], difference.self[change]});
  }
  Difference finish(const Marks& marks, const Side& a, const Side& b) {
    Difference out;
    out.self[added] = !a.is_present;
    out.self[removed] = a.is_present && !b.is_present;
    for (int change = 0; change < change_count; ++change) {
      auto entries = std::span(stacks_[change]).subspan(marks.at[change]);
      if (!entries.empty()) out.below[change] = make_field_set(arena_, entries);
      stacks_[change].resize(marks.at[change]);
    }
    return out;
  }

  Difference structure(const Side& a, const Side& b, const Type& type) {
    const Marks marks = begin();
    const bool has_a = a.is_present && !a.is_null, has_b = b.is_present && !b.is_null;
    bool is_empty = true;
    auto stored = [](const Side& side) {
      return side.value && side.value->kind == ValueKind::structure ? side.value->children()
                                                                    : std::span<const Value>{};
    };
    const auto as = has_a ? stored(a) : std::span<const Value>{},
               bs = has_b ? stored(b) : std::span<const Value>{};
    std::size_t i = 0, j = 0;
    for (std::size_t f = 0; f < type.fields.size(); ++f) {
      const Value* x = i < as.size() && as[i].field == f ? &as[i++] : nullptr;
      const Value* y = j < bs.size() && bs[j].field == f ? &bs[j++] : nullptr;
      const Field& field = type.fields[f];
      if (!x && !y && is_left_out_when_zero(field)) continue;
      const Side left = has_a ? side_of(field, x) : Side{}, right = has_b ? side_of(field, y) : Side{};
      if (!left.is_present && !right.is_present) continue;
      is_empty = false;
      push(PathElement::of_field(field.name), compare(left, right, *field.type, field.rules));
    }
    // What a run-time structure keeps without naming it lies behind the named fields, as one map.
    const Value* more_a = i < as.size() && as[i].kind == ValueKind::map ? &as[i] : nullptr;
    const Value* more_b = j < bs.size() && bs[j].kind == ValueKind::map ? &bs[j] : nullptr;
    if (pairs(more_a, more_b, any_type())) is_empty = false;
    // Empty on both sides: empty, null and absent are still told apart.
    if (is_empty) return leaf(a, b, type);
    return finish(marks, a, b);
  }

  // Pushes what differs; false when there are no pairs at all.
  bool pairs(const Value* a, const Value* b, const Type& element) {
    const std::uint32_t as = a && a->kind == ValueKind::map ? a->size : 0,
                        bs = b && b->kind == ValueKind::map ? b->size : 0;
    std::uint32_t i = 0, j = 0;
    while (i < as || j < bs) {
      const int order = i == as ? 1 : j == bs ? -1 : a->items[2 * i].str().compare(b->items[2 * j].str());
      const Value* x = order <= 0 ? &a->items[2 * i + 1] : nullptr;
      const Value* y = order >= 0 ? &b->items[2 * j + 1] : nullptr;
      const std::string_view key = (order <= 0 ? a->items[2 * i] : b->items[2 * j]).str();
      push(PathElement::of_field(key), compare(side_of(x), side_of(y), element, nullptr));
      if (order <= 0) ++i;
      if (order >= 0) ++j;
    }
    return as + bs > 0;
  }

  Difference map(const Side& a, const Side& b, const Type& type) {
    const Marks marks = begin();
    if (!pairs(a.value, b.value, *type.element)) return leaf(a, b, type);
    return finish(marks, a, b);
  }

  // Without a schema: maps are looked into, all else is one field. A map that takes the place of something
  // else (or gives it up) counts twice, for its members and as a change of the place.
  Difference deduced(const Side& a, const Side& b, const Type& type) {
    auto is_map = [](const Side& side) { return side.value && side.value->kind == ValueKind::map; };
    if (!is_map(a) && !is_map(b)) return leaf(a, b, type);
    const Marks marks = begin();
    if (!pairs(a.value, b.value, type)) return leaf(a, b, type);
    Difference out = finish(marks, a, b);
    if (is_map(a) != is_map(b) && a.is_present && b.is_present && !a.is_null && !b.is_null)
      out.self[modified] = true;
    return out;
  }

  struct Item {
    PathElement element;
    const Value* value;
  };

  Difference list(const Side& a, const Side& b, const Type& type, const FieldRules& rules) {
    auto size = [](const Side& side) {
      return side.value && side.value->kind == ValueKind::list ? side.value->size : 0;
    };
    if (size(a) == 0 && size(b) == 0) return leaf(a, b, type);
    std::vector<Item> as = items_of(a, size(a), type, rules), bs = items_of(b, size(b), type, rules);
    const Marks marks = begin();
    std::size_t i = 0, j = 0;
    while (i < as.size() || j < bs.size()) {
      const int order = i == as.size()   ? 1
                        : j == bs.size() ? -1
                                         : apimachinery::compare(as[i].element, bs[j].element);
      const std::size_t from_a = i, from_b = j;
      const PathElement& element = order <= 0 ? as[i].element : bs[j].element;
      if (order <= 0) i = end_of_group(as, i);
      if (order >= 0) j = end_of_group(bs, j);
      push(element, group({as.data() + from_a, i - from_a}, {bs.data() + from_b, j - from_b}, *type.element));
    }
    return finish(marks, a, b);
  }

  static std::size_t end_of_group(const std::vector<Item>& items, std::size_t start) {
    std::size_t end = start + 1;
    while (end < items.size() && apimachinery::compare(items[end].element, items[start].element) == 0) ++end;
    return end;
  }

  // The items of both sides that go by the same key. Repeated ones are owned as one, without looking into
  // them.
  Difference group(std::span<const Item> a, std::span<const Item> b, const Type& element) {
    if (a.size() <= 1 && b.size() <= 1)
      return compare(a.empty() ? Side{} : side_of(a[0].value), b.empty() ? Side{} : side_of(b[0].value),
                     element, nullptr);
    Difference out;
    if (a.size() >= 2 && b.size() >= 2) {
      out.self[modified] =
          !std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Item& x, const Item& y) {
            return same_leaf(side_of(x.value), side_of(y.value), element);
          });
    } else if (a.size() >= 2) {
      if (!b.empty()) out = compare({}, side_of(b[0].value), element, nullptr);
      out.self[removed] = true;
    } else {
      if (!a.empty()) out = compare(side_of(a[0].value), {}, element, nullptr);
      out.self[added] = true;
    }
    return out;
  }

  std::vector<Item> items_of(const Side& side, std::uint32_t size, const Type& type,
                             const FieldRules& rules) {
    std::vector<Item> items;
    items.reserve(size);
    const bool has_keys = granularity(type, &rules) == Granularity::list_map;
    for (std::uint32_t i = 0; i < size; ++i) {
      const Value& value = side.value->items[i];
      if (!has_keys)
        items.push_back({PathElement::of_value(&value), &value});
      else
        items.push_back({key_element(value, *type.element, list_keys(rules)), &value});
    }
    auto less = [](const Item& x, const Item& y) { return apimachinery::compare(x.element, y.element) < 0; };
    if (!std::is_sorted(items.begin(), items.end(), less)) std::stable_sort(items.begin(), items.end(), less);
    return items;
  }

  PathElement key_element(const Value& item, const Type& type, std::span<const std::string_view> names) {
    auto* fields =
        static_cast<PathElement::KeyField*>(arena_.allocate(names.size() * sizeof(PathElement::KeyField)));
    std::size_t count = 0;
    for (const auto name : names) {
      const int index = type.find(name);
      if (index < 0) continue;
      const Field& field = type.fields[static_cast<std::size_t>(index)];
      const Side side = side_of(field, item.get(index));
      Value value;
      if (side.is_present)
        value = side.value ? *side.value : side.is_null ? Value{} : zero_of(*field.type);
      else if (!default_of(field, value))
        continue;
      std::construct_at(fields + count++, PathElement::KeyField{name, value});
    }
    if (count == 0) error_ = "a list has an item that omits all of its keys";
    std::sort(fields, fields + count, [](const auto& x, const auto& y) { return x.name < y.name; });
    return PathElement::of_keys({fields, count});
  }

  static Value zero_of(const Type& type) {
    switch (type.kind) {
      case TypeKind::boolean:
        return Value::of(false);
      case TypeKind::int32:
      case TypeKind::int64:
      case TypeKind::float64:
      case TypeKind::int_or_string:
        return Value::of_integer(0);
      case TypeKind::quantity:
        return Value::of_text("0");
      default:
        return Value::of_text("");
    }
  }

  // The default that the API document states is part of an item's key.
  bool default_of(const Field& field, Value& value) {
    const std::string_view text = field.rules->default_value;
    if (text.empty()) return false;
    if (text.size() >= 2 && text.front() == '"' && text.find('\\') == std::string_view::npos) {
      value = Value::of_text(text.substr(1, text.size() - 2));
      return true;
    }
    auto decoded = decode_json_any(arena_, text);
    if (!decoded || decoded->is_null()) return false;
    value = *decoded;
    return true;
  }

  Arena& arena_;
  std::vector<FieldSet::Entry> stacks_[change_count];
  std::string error_;
};

}  // namespace

Result<FieldComparison> compare_fields(Arena& arena, const Type& type, const Value* before,
                                       const Value& after) {
  Comparer comparer(arena);
  const Difference difference = comparer.compare({before, true, false}, side_of(&after), type, nullptr);
  if (!comparer.error().empty()) return internal_error(comparer.error());
  return FieldComparison{difference.below[added], difference.below[modified], difference.below[removed]};
}

namespace {

FieldSet reconcile(Arena& arena, const FieldSet& set, const Type& type, const FieldRules* rules) {
  const Granularity how = granularity(type, rules);
  if (how == Granularity::leaf || how == Granularity::deduced) return set;
  FieldSet::Entry* changed = nullptr;
  for (std::uint32_t i = 0; i < set.size; ++i) {
    const FieldSet::Entry& entry = set.entries[i];
    if (entry.children.empty()) continue;
    const Type* below = type.element;
    const FieldRules* below_rules = nullptr;
    if (how == Granularity::structure) {
      const int index = entry.element.kind == PathElement::Kind::field ? type.find(entry.element.name()) : -1;
      if (index < 0) continue;
      below = type.fields[static_cast<std::size_t>(index)].type;
      below_rules = type.fields[static_cast<std::size_t>(index)].rules;
    }
    const bool is_container = below->kind == TypeKind::structure || below->kind == TypeKind::map ||
                              below->kind == TypeKind::list || below->kind == TypeKind::raw ||
                              below->kind == TypeKind::any;
    FieldSet::Entry out = entry;
    if (granularity(*below, below_rules) == Granularity::leaf) {
      if (!is_container) continue;
      out.is_member = true;
      out.children = {};
    } else {
      out.children = reconcile(arena, entry.children, *below, below_rules);
      if (out.children.entries == entry.children.entries) continue;
    }
    if (!changed) {
      changed = static_cast<FieldSet::Entry*>(arena.allocate(set.size * sizeof(FieldSet::Entry)));
      std::uninitialized_copy_n(set.entries, set.size, changed);
    }
    changed[i] = out;
  }
  return changed ? FieldSet{changed, set.size} : set;
}

}  // namespace

FieldSet reconcile_with_schema(Arena& arena, const FieldSet& set, const Type& type) {
  return reconcile(arena, set, type, nullptr);
}

}  // namespace rusternetes::apimachinery
