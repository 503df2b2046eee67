#include "apimachinery/strategic_patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/any_patch.h"
#include "apimachinery/errors.h"
#include "apimachinery/strategic_list.h"
#include "apimachinery/strategic_meta.h"

namespace rusternetes::apimachinery {
namespace {

using namespace strategic;

constexpr std::string_view directive_key = "$patch";
constexpr std::string_view retain_keys = "$retainKeys";
constexpr std::string_view element_order_prefix = "$setElementOrder";
constexpr std::string_view deletion_prefix = "$deleteFromPrimitiveList";

Status bad_format(std::string_view what) {
  return bad_request(fmt::format("invalid patch format of {}", what));
}

// Removes maps that carry a directive; false when the value itself is one.
bool remove_directives(Value& value) {
  if (value.kind == ValueKind::map) {
    if (value.lookup(directive_key)) return false;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < value.size; ++i) {
      if (!remove_directives(value.items[2 * i + 1])) continue;
      value.items[2 * kept] = value.items[2 * i];
      value.items[2 * kept + 1] = value.items[2 * i + 1];
      ++kept;
    }
    value.size = kept;
  } else if (value.kind == ValueKind::list) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < value.size; ++i)
      if (remove_directives(value.items[i])) value.items[kept++] = value.items[i];
    value.size = kept;
  }
  return true;
}

void discard_nulls(Value& value) {
  if (value.kind == ValueKind::list) {
    for (auto& item : value.children()) discard_nulls(item);
  } else if (value.kind == ValueKind::map) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < value.size; ++i) {
      if (value.items[2 * i + 1].is_null()) continue;
      discard_nulls(value.items[2 * i + 1]);
      value.items[2 * kept] = value.items[2 * i];
      value.items[2 * kept + 1] = value.items[2 * i + 1];
      ++kept;
    }
    value.size = kept;
  }
}

// The kind that all items have. An error for lists of lists, mixed lists and for no items at all.
Result<ValueKind> element_kind(const Slice& a, const Slice& b) {
  const Value* first = a.size ? a.items : b.size ? b.items : nullptr;
  if (!first) return plain_error("no elements in any of the given slices");
  if (first->kind == ValueKind::list)
    return Status{422, "Invalid", "the server rejected our request due to an error in our request",
                  std::make_shared<StatusDetails>()};
  auto differs = [first](const Value& item) { return item.kind != first->kind; };
  if (first->is_null() || std::any_of(a.begin(), a.end(), differs) ||
      std::any_of(b.begin(), b.end(), differs)) {
    std::string text = "list element types are not identical: [";
    append_go_text(text, a.value());
    text += ' ';
    append_go_text(text, b.value());
    return plain_error(text + "]");
  }
  return first->kind;
}

Result<std::string_view> list_name(std::string_view key, std::string_view prefix, std::string_view what) {
  if (key.size() <= prefix.size() || key[prefix.size()] != '/') return bad_format(what);
  return key.substr(prefix.size() + 1);
}

class Merger {
 public:
  explicit Merger(Arena& arena) : arena_(arena) {}

  // Changes `original` in place; `patch` is used up.
  Result<void> map(Value& original, Value& patch, Meta schema) {
    if (const Value* directive = patch.lookup(directive_key)) {
      if (directive->str() == "replace") {
        erase_key(patch, directive_key);
        original = patch;
        return {};
      }
      if (directive->str() == "delete") {
        original = Value::empty(ValueKind::map);
        return {};
      }
      return unknown_directive(*directive, patch);
    }
    RN_CHECK(apply_retain_keys(original, patch));
    RN_CHECK(apply_element_orders(original, patch, schema));
    for (std::uint32_t i = 0; i < patch.size; ++i)
      RN_CHECK(member(original, patch.items[2 * i].str(), patch.items[2 * i + 1], schema));
    return {};
  }

 private:
  static Status unknown_directive(const Value& directive, const Value& patch) {
    std::string text, word;
    append_go_text(word, directive);
    switch (directive.kind) {  // what Go's %s makes of something that is no text
      case ValueKind::null:
        word = "%!s(<nil>)";
        break;
      case ValueKind::boolean:
        word = "%!s(bool=" + word + ")";
        break;
      case ValueKind::integer:
        word = "%!s(int64=" + word + ")";
        break;
      case ValueKind::floating:
        word = "%!s(float64=" + word + ")";
        break;
      default:
        break;
    }
    text = "unknown patch type: " + word + " in map: ";
    append_go_text(text, patch);
    return plain_error(std::move(text));
  }

  static Result<void> apply_retain_keys(Value& original, Value& patch) {
    const Value* found = patch.lookup(retain_keys);
    if (!found) return {};
    const Value keys = *found;
    erase_key(patch, retain_keys);
    if (keys.kind != ValueKind::list) return bad_format("retainKeys");
    const KeyIndex kept(Slice::of(keys), {});
    auto is_kept = [&](const Value& key) { return kept.find(key) >= 0; };
    for (std::uint32_t i = 0; i < patch.size; ++i) {
      const std::string_view key = patch.items[2 * i].str();
      if (patch.items[2 * i + 1].is_null() || key.starts_with(deletion_prefix) ||
          key.starts_with(element_order_prefix))
        continue;
      if (!is_kept(patch.items[2 * i])) return bad_format("retainKeys");
    }
    std::uint32_t left = 0;
    for (std::uint32_t i = 0; i < original.size; ++i) {
      if (!is_kept(original.items[2 * i])) continue;
      original.items[2 * left] = original.items[2 * i];
      original.items[2 * left + 1] = original.items[2 * i + 1];
      ++left;
    }
    original.size = left;
    return {};
  }

  // Each $setElementOrder/<list> together with the list it speaks of; both leave the patch.
  Result<void> apply_element_orders(Value& original, Value& patch, Meta schema) {
    std::vector<std::pair<std::string_view, Value>> orders;
    for (std::uint32_t i = 0; i < patch.size; ++i)
      if (patch.items[2 * i].str().starts_with(element_order_prefix))
        orders.emplace_back(patch.items[2 * i].str(), patch.items[2 * i + 1]);
    for (const auto& [key, order] : orders) {
      erase_key(patch, key);
      if (order.kind != ValueKind::list) return not_a_list(order);
      RN_TRY(const std::string_view name, list_name(key, element_order_prefix, "setElementOrder list"));
      RN_CHECK(apply_element_order(original, patch, name, Slice::of(order), schema));
    }
    return {};
  }

  Result<void> apply_element_order(Value& original, Value& patch, std::string_view name, const Slice& order,
                                   Meta schema) {
    const Value* present = original.lookup(name);
    Value* change = patch.lookup(name);
    if (present && present->kind != ValueKind::list) return not_a_list(*present);
    if (change && change->kind != ValueKind::list) return not_a_list(*change);
    RN_TRY(const FieldMeta meta, list_meta(schema, name));
    const Slice before = present ? Slice::of(*present) : Slice{};
    const Slice changes = change ? Slice::of(*change) : Slice{};
    if (change) RN_CHECK(check_against_order(changes, order, meta.merge_key));
    if (!present && !change) return {};

    Slice merged = before;
    Slice counted = changes;  // what the patch list holds when its kind is looked at
    if (!present) {
      Value added = *change;
      remove_directives(added);
      merged = Slice::of(added);
    } else if (change) {
      RN_TRY(merged, list(before, changes, meta, false));
    }
    RN_TRY(const ValueKind kind, element_kind(before, counted));
    RN_TRY(const Slice arranged,
           arrange(arena_, merged, order, before, meta.merge_key, kind == ValueKind::map));
    set_key(arena_, original, name) = arranged.value();
    erase_key(patch, name);
    return {};
  }

  // The patch's items must stand in the order that it asks for.
  static Result<void> check_against_order(const Slice& patch, const Slice& order,
                                          std::string_view merge_key) {
    if (order.size == 0 || patch.size == 0) return {};
    std::vector<Value> items;
    for (const auto& item : patch) {
      if (!merge_key.empty()) {
        if (item.kind != ValueKind::map) return not_a_map(item);
        const Value* directive = item.lookup(directive_key);
        if (directive && directive->str() == "delete") continue;
      }
      items.push_back(item);
    }
    std::size_t at = 0, place = 0;
    while (at < items.size() && place < order.size) {
      if (items[at].lookup(directive_key)) {
        ++at;
        continue;
      }
      RN_TRY(const bool same, same_key(items[at], order[place], merge_key));
      if (same) ++at;
      ++place;
    }
    if (at >= items.size()) return {};
    std::string text = "The order in patch list:\n";
    append_go_text(text, patch.value());
    text += "\n doesn't match $setElementOrder list:\n";
    append_go_text(text, order.value());
    return plain_error(text + "\n");
  }

  static Result<bool> same_key(const Value& a, const Value& b, std::string_view merge_key) {
    if (merge_key.empty()) return same_scalar(a, b);
    for (const Value* item : {&a, &b})
      if (item->kind != ValueKind::map) return not_a_map(*item);
    for (const Value* item : {&a, &b})
      if (!item->lookup(merge_key)) return no_merge_key(*item, merge_key);
    return same_scalar(*a.lookup(merge_key), *b.lookup(merge_key));
  }

  Result<void> member(Value& original, std::string_view key, Value& change, Meta schema) {
    const bool is_deletion = key.starts_with(deletion_prefix);
    if (is_deletion) {
      RN_TRY(key, list_name(key, deletion_prefix, "primitive list"));
    }
    if (change.is_null()) {
      erase_key(original, key);
      return {};
    }
    Value* present = original.lookup(key);
    if (!present || present->kind != change.kind) {
      if (is_deletion) return {};
      discard_nulls(change);
      if (remove_directives(change))
        set_key(arena_, original, key) = change;
      else
        erase_key(original, key);
      return {};
    }
    if (change.kind == ValueKind::map) {
      RN_TRY(const FieldMeta meta, field_meta(schema, key));
      if (meta.strategy != "replace") return map(*present, change, meta.meta);
      *present = change;
    } else if (change.kind == ValueKind::list) {
      RN_TRY(const FieldMeta meta, list_meta(schema, key));
      RN_TRY(const Slice merged, list(Slice::of(*present), Slice::of(change), meta, is_deletion));
      *present = merged.value();
    } else {
      *present = change;
    }
    return {};
  }

  Result<Slice> list(Slice original, Slice patch, const FieldMeta& meta, bool is_deletion) {
    if (meta.strategy != "merge" && !is_deletion) return patch;
    if (original.size == 0 && patch.size == 0) return original;
    RN_TRY(const ValueKind kind, element_kind(original, patch));
    if (kind != ValueKind::map) {
      if (is_deletion) return without(original, patch);
      Slice both = original;
      for (const auto& item : patch) both.push_back(arena_, item);
      deduplicate(both);
      return arrange(arena_, both, patch, original, meta.merge_key, false);
    }
    if (meta.merge_key.empty())
      return plain_error(fmt::format("cannot merge lists without merge key for {}", meta.meta.kind_word()));
    RN_CHECK(apply_special_items(original, patch, meta.merge_key));
    RN_TRY(const Slice merged, merge_items(original, patch, meta));
    return arrange(arena_, merged, patch, original, meta.merge_key, true);
  }

  Slice without(const Slice& list, const Slice& deletions) {
    const KeyIndex deleted(deletions, {});
    Slice left;
    for (const auto& item : list)
      if (deleted.find(item) < 0) left.push_back(arena_, item);
    return left;
  }

  // Carries out the items with $patch, and takes them out of the patch.
  Result<void> apply_special_items(Slice& original, Slice& patch, std::string_view merge_key) {
    Slice plain, deletions;
    bool is_replacement = false;
    for (const auto& item : patch) {
      const Value* directive = item.lookup(directive_key);
      if (!directive) {
        plain.push_back(arena_, item);
      } else if (directive->str() == "delete") {
        const Value* key = item.lookup(merge_key);
        if (!key) return no_merge_key(item, merge_key);
        deletions.push_back(arena_, *key);
      } else if (directive->str() == "replace") {
        is_replacement = true;
      } else if (directive->str() == "merge") {
        return plain_error("merging lists cannot yet be specified in the patch");
      } else {
        return unknown_directive(*directive, item);
      }
    }
    delete_matching(original, merge_key, deletions);
    if (is_replacement) {
      original = plain;
      patch = {};
    } else {
      patch = plain;
    }
    return {};
  }

  // One by one where that is cheap: what is left behind a shortened list has a say in the order of what is
  // appended.
  static void delete_matching(Slice& list, std::string_view merge_key, const Slice& keys) {
    constexpr std::uint32_t few = 64;
    auto matches = [&](const Value& item, const Value& key) {
      const Value* present = item.lookup(merge_key);
      return present && same_scalar(*present, key);
    };
    if (keys.size <= few) {
      for (const auto& key : keys)
        for (std::uint32_t i = 0; i < list.size;)
          if (matches(list[i], key))
            list.erase(i);
          else
            ++i;
      return;
    }
    const KeyIndex deleted(keys, {});
    const auto end = std::remove_if(list.begin(), list.end(), [&](const Value& item) {
      const Value* present = item.lookup(merge_key);
      return present && deleted.find(*present) >= 0;
    });
    list.size = static_cast<std::uint32_t>(end - list.begin());
  }

  Result<Slice> merge_items(Slice original, const Slice& patch, const FieldMeta& meta) {
    KeyIndex index(original, meta.merge_key);
    for (auto& item : patch) {
      const Value* key = item.lookup(meta.merge_key);
      if (!key) return no_merge_key(item, meta.merge_key);
      const int found = index.find(*key);
      if (found >= 0) {
        RN_CHECK(map(original[static_cast<std::size_t>(found)], item, meta.meta));
      } else {
        index.add(*key, original.size);
        original.push_back(arena_, item);
      }
    }
    return original;
  }

  Arena& arena_;
};

}  // namespace

Result<Value> apply_strategic_patch(Arena& arena, const Value& document, const Value& patch,
                                    const Type& type) {
  if (patch.is_null()) return document;
  if (patch.kind != ValueKind::map) return bad_request("invalid JSON document");
  Value original =
      document.kind == ValueKind::map ? copy_nodes(arena, document) : Value::empty(ValueKind::map);
  Value change = copy_nodes(arena, patch);
  RN_CHECK(Merger(arena).map(original, change, {&type, false}));
  return original;
}

}  // namespace rusternetes::apimachinery
