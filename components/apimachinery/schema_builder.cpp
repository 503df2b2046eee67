#include "apimachinery/schema_builder.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace rusternetes::apimachinery {

const FieldRules& no_rules() {
  static const FieldRules none;
  return none;
}

const Type* word_type(std::string_view word) {
  static const std::map<std::string_view, Type>& words = *new std::map<std::string_view, Type>([] {
    std::map<std::string_view, Type> made;
    auto add = [&](std::string_view name, TypeKind kind) {
      Type type;
      type.kind = kind;
      made.emplace(name, type);
    };
    add("string", TypeKind::string);
    add("bool", TypeKind::boolean);
    add("int32", TypeKind::int32);
    add("int64", TypeKind::int64);
    add("float64", TypeKind::float64);
    add("bytes", TypeKind::bytes);
    add("Time", TypeKind::time);
    add("MicroTime", TypeKind::micro_time);
    add("Duration", TypeKind::duration);
    add("Quantity", TypeKind::quantity);
    add("IntOrString", TypeKind::int_or_string);
    add("RawExtension", TypeKind::raw);
    add("JSON", TypeKind::raw);
    add("FieldsV1", TypeKind::fields_v1);
    add("interface", TypeKind::any);
    return made;
  }());
  auto found = words.find(word);
  return found == words.end() ? nullptr : &found->second;
}

std::string_view OwnedSchema::keep(std::string_view text) {
  if (text.empty()) return {};
  return strings_.emplace_back(text);
}

std::span<const std::string_view> OwnedSchema::keep(const std::vector<std::string_view>& words) {
  if (words.empty()) return {};
  auto& kept = words_.emplace_back();
  for (auto word : words) kept.push_back(keep(word));
  return kept;
}

Type* OwnedSchema::new_type(TypeKind kind, std::string_view name) {
  auto& type = type_storage_.emplace_back();
  type.kind = kind;
  type.name = keep(name);
  if (!name.empty()) named_.push_back(&type);
  return &type;
}

const Type* OwnedSchema::list_of(const Type* element) {
  auto& list = lists_[element];
  if (!list) {
    auto* made = new_type(TypeKind::list);
    made->element = element;
    list = made;
  }
  return list;
}

const Type* OwnedSchema::map_of(const Type* element) {
  auto& map = maps_[element];
  if (!map) {
    auto* made = new_type(TypeKind::map);
    made->element = element;
    map = made;
  }
  return map;
}

const FieldRules* OwnedSchema::keep(const FieldRules& rules) { return &rules_.emplace_back(rules); }
std::span<const Subresource> OwnedSchema::keep(std::vector<Subresource> all) {
  return subresource_storage_.emplace_back(std::move(all));
}
std::span<const Column> OwnedSchema::keep(std::vector<Column> all) {
  return column_storage_.emplace_back(std::move(all));
}
std::span<const Choice> OwnedSchema::keep(std::vector<Choice> all) {
  return choice_storage_.emplace_back(std::move(all));
}

namespace {

// Protobuf's tree before it is laid out flat: roots first, then each nested message's entries together.
struct ProtoNode {
  std::uint32_t number = 0;
  int field = -1;
  std::vector<ProtoNode> children;
};

void sort_by_number(std::vector<ProtoNode>& nodes) {
  std::sort(nodes.begin(), nodes.end(), [](auto& a, auto& b) { return a.number < b.number; });
  for (auto& node : nodes) sort_by_number(node.children);
}

// The protobuf tree of a finished type, its field indexes moved by `offset`.
std::vector<ProtoNode> tree_of(const Type& type, std::size_t first, std::size_t count, int offset) {
  std::vector<ProtoNode> nodes;
  for (std::size_t i = first; i < first + count; ++i) {
    const auto& entry = type.proto[i];
    ProtoNode node{entry.number, entry.field < 0 ? -1 : entry.field + offset, {}};
    if (entry.field < 0) node.children = tree_of(type, entry.first_child, entry.child_count, offset);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

void lay_out(const std::vector<ProtoNode>& nodes, std::vector<ProtoEntry>& out) {
  const std::size_t first = out.size();
  for (const auto& node : nodes) out.push_back({node.number, static_cast<std::int16_t>(node.field), 0, 0});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].field >= 0) continue;
    out[first + i].first_child = static_cast<std::uint16_t>(out.size());
    out[first + i].child_count = static_cast<std::uint16_t>(nodes[i].children.size());
    lay_out(nodes[i].children, out);
  }
}

}  // namespace

void OwnedSchema::set_fields(Type& type, const std::vector<FieldDraft>& drafts) {
  auto& fields = field_storage_.emplace_back();
  std::vector<ProtoNode> tree;
  for (const auto& draft : drafts) {
    if (!draft.is_inline) {
      if (draft.field.number) tree.push_back({draft.field.number, static_cast<int>(fields.size()), {}});
      fields.push_back(draft.field);
      if (!fields.back().rules) fields.back().rules = &no_rules();
      continue;
    }
    const Type& inner = *draft.field.type;
    const int offset = static_cast<int>(fields.size());
    fields.insert(fields.end(), inner.fields.begin(), inner.fields.end());
    if (!draft.field.number)  // TypeMeta: in JSON only
      for (std::size_t i = offset; i < fields.size(); ++i) fields[i].number = 0;
    else
      tree.push_back({draft.field.number, -1, tree_of(inner, 0, inner.proto_roots, offset)});
  }
  sort_by_number(tree);
  auto& proto = proto_storage_.emplace_back();
  lay_out(tree, proto);
  auto& slots = slot_storage_.emplace_back();
  slots.resize(std::bit_ceil(std::max<std::size_t>(2, fields.size() * 2)));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    std::size_t at = field_name_hash(fields[i].name) & (slots.size() - 1);
    while (slots[at]) at = (at + 1) & (slots.size() - 1);
    slots[at] = static_cast<std::uint16_t>(i + 1);
  }
  type.fields = fields;
  type.proto = proto;
  type.proto_roots = static_cast<std::uint16_t>(tree.size());
  type.name_slots = slots;
  type.has_type_meta = fields.size() >= 2 && fields[0].name == "kind" && fields[1].name == "apiVersion" &&
                       fields[0].number == 0 && fields[1].number == 0;
}

void OwnedSchema::finish() {
  kinds = kinds_;
  types = named_;
}

}  // namespace rusternetes::apimachinery
