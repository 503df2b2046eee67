#pragma once
// Makes a SchemaSet at run time: from the text form (schema/v1.35/*.schema, the schema compiler's input) or, field by
// field, from a CustomResourceDefinition. The compiled tables are such a set, printed as C++.

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "apimachinery/schema.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// Owns every string, rule and table it hands out. Types may refer to those of other sets, which must live longer.
class OwnedSchema : public SchemaSet {
 public:
  std::string_view keep(std::string_view text);
  std::span<const std::string_view> keep(const std::vector<std::string_view>& words);
  Type* new_type(TypeKind kind, std::string_view name = {});
  const Type* list_of(const Type* element);
  const Type* map_of(const Type* element);
  const FieldRules* keep(const FieldRules& rules);

  // A field as written: an inline one stands for the fields of its type.
  struct FieldDraft {
    Field field;
    bool is_inline = false;
  };
  // Flattens inline structures (their types must be complete), lays out protobuf and the name table.
  void set_fields(Type& type, const std::vector<FieldDraft>& drafts);
  Kind& new_kind() { return kinds_.emplace_back(); }
  std::span<const Subresource> keep(std::vector<Subresource> subresources);
  std::span<const Column> keep(std::vector<Column> columns);
  std::span<const Choice> keep(std::vector<Choice> choices);
  // Publishes `kinds` and `types`; nothing is added afterwards.
  void finish();

 private:
  std::deque<std::string> strings_;
  std::deque<std::vector<std::string_view>> words_;
  std::deque<FieldRules> rules_;
  std::deque<Type> type_storage_;
  std::deque<std::vector<Field>> field_storage_;
  std::deque<std::vector<ProtoEntry>> proto_storage_;
  std::deque<std::vector<std::uint16_t>> slot_storage_;
  std::deque<std::vector<Subresource>> subresource_storage_;
  std::deque<std::vector<Column>> column_storage_;
  std::deque<std::vector<Choice>> choice_storage_;
  std::map<const Type*, const Type*> lists_, maps_;
  std::vector<Kind> kinds_;
  std::vector<const Type*> named_;
};

// The words of the text form: string, bool, int32, Time, Quantity, ... Null for any other.
const Type* word_type(std::string_view word);
const FieldRules& no_rules();

// Parses the text form. `sources` are (file name, text); an error names file and line. They may refer to types of
// `imported`, which must live longer.
Result<std::unique_ptr<OwnedSchema>> parse_schema_text(
    const std::vector<std::pair<std::string, std::string>>& sources, const SchemaSet* imported = nullptr);

}  // namespace rusternetes::apimachinery
