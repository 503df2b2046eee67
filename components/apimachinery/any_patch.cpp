#include "apimachinery/any_patch.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>

#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/schema_builder.h"

namespace rusternetes::apimachinery {
namespace {

Status does_not_apply() {
  return {422, "Invalid", "the server rejected our request due to an error in our request",
          std::make_shared<StatusDetails>()};
}

// The operations of a patch, decoded by the same rules as any other list of structures.
struct PatchSchema {
  enum Field { op, path, from, value };
  OwnedSchema owner;
  const Type* operations;

  PatchSchema() {
    Type* operation = owner.new_type(TypeKind::structure, "handlers.jsonPatchOp");
    std::vector<OwnedSchema::FieldDraft> drafts;
    for (const std::string_view name : {"op", "path", "from"}) {
      Field_ field;
      field.name = name;
      field.type = word_type("string");
      field.is_pointer = true;  // "" is the whole document, absent is an error
      drafts.push_back({field, false});
    }
    Field_ value;
    value.name = "value";
    value.type = &any_type();
    value.is_pointer = true;  // zero and false are values
    drafts.push_back({value, false});
    for (auto& draft : drafts) draft.field.rules = &no_rules();
    owner.set_fields(*operation, drafts);
    operations = owner.list_of(operation);
    owner.finish();
  }
  static const PatchSchema& get() {
    static const PatchSchema schema;
    return schema;
  }

 private:
  using Field_ = apimachinery::Field;
};

// RFC 6901, section 4.
std::string unescape(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1'))
      out += token[++i] == '1' ? '/' : '~';
    else
      out += token[i];
  }
  return out;
}

// As Go's strconv.Atoi: a sign and leading zeros are fine.
std::optional<std::int64_t> parse_index(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return {};
  }
  std::int64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return index;
}

// An index into `size` places, negative ones from the end.
std::optional<std::size_t> resolve_index(std::string_view text, std::size_t size) {
  const auto index = parse_index(text);
  const auto count = static_cast<std::int64_t>(size);
  if (!index || *index >= count || *index < -count) return {};
  return static_cast<std::size_t>(*index < 0 ? *index + count : *index);
}

// What the JSON decoder lets through; moves and copies could go deeper, and every walk over a tree is a
// recursion.
constexpr int max_depth = 512;

bool is_deeper(const Value& value, int levels) {
  if (value.kind != ValueKind::list && value.kind != ValueKind::map) return false;
  if (levels == 0) return true;
  const std::size_t cells = value.kind == ValueKind::map ? 2ul * value.size : value.size;
  for (std::size_t i = 0; i < cells; ++i)
    if (is_deeper(value.items[i], levels - 1)) return true;
  return false;
}

class JsonPatcher {
 public:
  JsonPatcher(Arena& arena, const Value& document) : arena_(arena), root_(copy_nodes(arena, document)) {}

  bool apply(const Value& operation) {
    const std::string_view op = text_of(operation, PatchSchema::op);
    const auto path = member(operation, PatchSchema::path);
    const auto from = member(operation, PatchSchema::from);
    const Value* value = operation.get(PatchSchema::value);
    if (op == "add") return path && add(*path, value ? *value : Value{});
    if (op == "remove") return path && remove(*path);
    if (op == "replace") return path && replace(*path, value ? *value : Value{});
    if (op == "test") return path && test(*path, value ? *value : Value{});
    if (op == "move") return from && path && move(*from, *path);
    if (op == "copy") return from && path && copy(*from, *path);
    return false;
  }
  const Value& root() const { return root_; }

 private:
  struct Place {
    Value* container = nullptr;  // a map or a list; null: there is none
    std::string key;
    explicit operator bool() const { return container != nullptr; }
  };

  static std::string_view text_of(const Value& operation, int field) {
    const Value* value = operation.get(field);
    return value ? value->str() : std::string_view{};
  }
  static std::optional<std::string_view> member(const Value& operation, int field) {
    const Value* value = operation.get(field);
    return value ? std::optional(value->str()) : std::nullopt;
  }

  // The container that the last token of the path speaks of.
  Place find(std::string_view path) {
    const auto first = path.find('/');
    if (first == std::string_view::npos) return {};
    Value* at = &root_;
    path.remove_prefix(first + 1);
    while (true) {
      if (at->kind != ValueKind::map && at->kind != ValueKind::list) return {};
      const auto slash = path.find('/');
      std::string key = unescape(path.substr(0, slash));
      if (slash == std::string_view::npos) return {at, std::move(key)};
      at = child(*at, key);
      if (!at) return {};
      path.remove_prefix(slash + 1);
    }
  }

  static Value* child(Value& container, std::string_view key) {
    if (container.kind == ValueKind::map) return container.lookup(key);
    const auto index = resolve_index(key, container.size);
    return index ? &container.items[*index] : nullptr;
  }

  // No node may have two owners: `value` comes from the patch, which is used once, was taken from its place,
  // or is a copy.
  bool insert(const Place& place, const Value& value) {
    if (place.container->kind == ValueKind::map) {
      set_key(arena_, *place.container, place.key) = value;
      return true;
    }
    if (place.key == "-") {
      append(arena_, *place.container, value);
      return true;
    }
    const auto index = resolve_index(place.key, place.container->size + 1ul);
    if (!index) return false;
    insert_item(arena_, *place.container, *index, value);
    return true;
  }

  bool erase(const Place& place) {
    if (place.container->kind == ValueKind::map) {
      if (!place.container->lookup(place.key)) return false;
      erase_key(*place.container, place.key);
      return true;
    }
    const auto index = resolve_index(place.key, place.container->size);
    if (index) erase_item(*place.container, *index);
    return index.has_value();
  }

  bool add(std::string_view path, const Value& value) {
    const Place place = find(path);
    return place && insert(place, value);
  }

  bool remove(std::string_view path) {
    const Place place = find(path);
    return place && erase(place);
  }

  bool replace(std::string_view path, const Value& value) {
    if (path.empty()) {
      if (value.kind != ValueKind::map && value.kind != ValueKind::list) return false;
      root_ = value;
      return true;
    }
    const Place place = find(path);
    if (!place) return false;
    if (place.container->kind == ValueKind::map) return insert(place, value);
    Value* present = child(*place.container, place.key);
    if (present) *present = value;
    return present != nullptr;
  }

  // An absent member tests equal to null.
  bool test(std::string_view path, const Value& value) {
    if (path.empty()) return equal(root_, value);
    const Place place = find(path);
    if (!place) return false;
    const Value* present = child(*place.container, place.key);
    if (!present) return place.container->kind == ValueKind::map && value.is_null();
    return equal(*present, value);
  }

  bool move(std::string_view from, std::string_view path) {
    const Place source = find(from);
    if (!source) return false;
    const Value* present = child(*source.container, source.key);
    if (!present) return false;
    const Value moved = *present;
    return erase(source) && add(path, moved);
  }

  bool copy(std::string_view from, std::string_view path) {
    const Place source = find(from);
    if (!source) return false;
    const Value* present = child(*source.container, source.key);
    if (!present && source.container->kind == ValueKind::list) return false;
    if (!present) return add(path, Value{});  // an absent member copies as null
    if (is_deeper(*present, max_depth)) return false;
    std::string text;
    encode_json_any(text, *present);
    copied_bytes_ += text.size();
    return copied_bytes_ <= max_copied_bytes && add(path, copy_nodes(arena_, *present));
  }

  // Bytes of JSON: a patch of allowed size could copy a document into itself without end.
  static constexpr std::size_t max_copied_bytes = 3ul << 20;
  std::size_t copied_bytes_ = 0;
  Arena& arena_;
  Value root_;
};

bool is_null_text(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  const auto last = text.find_last_not_of(" \t\r\n");
  return first != std::string_view::npos && text.substr(first, last + 1 - first) == "null";
}

// Go's way of saying that something else than an object was sent.
std::string not_an_object(const Value& patch) {
  std::string_view kind = "number";
  if (patch.kind == ValueKind::list) kind = "array";
  if (patch.kind == ValueKind::string) kind = "string";
  if (patch.kind == ValueKind::boolean) kind = "bool";
  return fmt::format("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", kind);
}

// Removes the null members of objects, however deep; null items of lists stay.
void prune_nulls(Value& value) {
  if (value.kind == ValueKind::list) {
    for (auto& item : value.children()) prune_nulls(item);
  } else if (value.kind == ValueKind::map) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < value.size; ++i) {
      if (value.items[2 * i + 1].is_null()) continue;
      prune_nulls(value.items[2 * i + 1]);
      if (kept != i) {
        value.items[2 * kept] = value.items[2 * i];
        value.items[2 * kept + 1] = value.items[2 * i + 1];
      }
      ++kept;
    }
    value.size = kept;
  }
}

Value pruned_copy(Arena& arena, const Value& value) {
  Value copy = copy_nodes(arena, value);
  prune_nulls(copy);
  return copy;
}

// Both are maps. Sorted, so that one pass over both makes the result.
Value merge_maps(Arena& arena, const Value& document, const Value& patch) {
  Value out = Value::empty(ValueKind::map);
  std::uint32_t d = 0, p = 0;
  while (d < document.size || p < patch.size) {
    const int order = d == document.size ? 1
                      : p == patch.size  ? -1
                                         : document.items[2 * d].str().compare(patch.items[2 * p].str());
    if (order < 0) {
      append_pair(arena, out, document.items[2 * d].str(), document.items[2 * d + 1]);
      ++d;
      continue;
    }
    const std::string_view key = patch.items[2 * p].str();
    const Value& change = patch.items[2 * p + 1];
    const Value* present = order == 0 ? &document.items[2 * d + 1] : nullptr;
    if (!change.is_null()) {
      if (present && present->kind == ValueKind::map)
        append_pair(arena, out, key,
                    change.kind == ValueKind::map ? merge_maps(arena, *present, change) : change);
      else
        append_pair(arena, out, key, pruned_copy(arena, change));
    }
    ++p;
    if (order == 0) ++d;
  }
  return out;
}

}  // namespace

Value copy_nodes(Arena& arena, const Value& value) {
  Value copy = value;
  copy.growable = 0;
  if (value.kind != ValueKind::list && value.kind != ValueKind::map && value.kind != ValueKind::structure)
    return copy;
  const std::size_t cells = value.kind == ValueKind::map ? 2ul * value.size : value.size;
  copy.items = cells ? static_cast<Value*>(arena.allocate(cells * sizeof(Value))) : nullptr;
  for (std::size_t i = 0; i < cells; ++i) copy.items[i] = copy_nodes(arena, value.items[i]);
  return copy;
}

Result<Value> apply_json_patch(Arena& arena, const Value& document, std::string_view patch_text,
                               DecodeIssues* issues) {
  if (is_null_text(patch_text)) return document;
  DecodeIssues found;
  auto operations = decode_json(arena, patch_text, *PatchSchema::get().operations, issues ? &found : nullptr);
  if (!operations) {
    std::string message = std::move(operations).error().message;
    return bad_request(issues ? "error decoding patch: " + message : message);
  }
  for (auto& message : found.messages) issues->messages.push_back("json patch " + message);
  if (operations->size > max_json_patch_operations)
    return too_large(fmt::format("The allowed maximum operations in a JSON patch is {}, got {}",
                                 max_json_patch_operations, operations->size));
  JsonPatcher patcher(arena, document);
  for (const auto& operation : operations->children())
    if (!patcher.apply(operation)) return does_not_apply();
  if (is_deeper(patcher.root(), max_depth)) return does_not_apply();
  return patcher.root();
}

Result<Value> apply_merge_patch(Arena& arena, const Value& document, const Value& patch) {
  if (patch.kind == ValueKind::list) return pruned_copy(arena, patch);
  if (patch.kind != ValueKind::map) return bad_request("Invalid JSON Patch");
  if (document.kind != ValueKind::map) return pruned_copy(arena, patch);
  return merge_maps(arena, document, patch);
}

Result<Value> apply_merge_patch_text(Arena& arena, const Value& document, std::string_view patch_text,
                                     DecodeIssues* issues) {
  auto patch = decode_json(arena, patch_text, any_type(), issues);
  if (!patch)
    return bad_request(issues ? "error decoding patch: " + patch.error().message
                              : std::string("Invalid JSON Patch"));
  if (issues && patch->kind != ValueKind::map && !patch->is_null())
    return bad_request("error decoding patch: " + not_an_object(*patch));
  return apply_merge_patch(arena, document, *patch);
}

}  // namespace rusternetes::apimachinery
