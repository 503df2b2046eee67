// The schema compiler: reads schema/v1.35/*.schema and writes the tables (one .cpp) and the typed accessors (one header a
// package). Usage: schema-compiler OUT_CPP OUT_HEADER_DIR FILE...

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "apimachinery/schema_builder.h"

namespace am = rusternetes::apimachinery;

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// Writes a file only when its content changes, so that nothing rebuilds for nothing.
void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ifstream old(path, std::ios::binary);
  std::stringstream have;
  have << old.rdbuf();
  if (old && have.str() == text) return;
  std::ofstream(path, std::ios::binary) << text;
}

class Tables {
 public:
  explicit Tables(const am::SchemaSet& schema) : schema_(schema) {
    for (const auto* type : schema.types) index_of(type);
    // Index every type that is reached.
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const auto* type = types_[i];
      if (type->element) index_of(type->element);
      for (const auto& field : type->fields) index_of(field.type);
      for (const auto& choice : type->choices) index_of(choice.type);
    }
  }

  std::size_t index_of(const am::Type* type) {
    auto [it, is_new] = indexes_.try_emplace(type, types_.size());
    if (is_new) types_.push_back(type);
    return it->second;
  }

  std::string text() {
    std::string fields, proto, slots, rules, choices, types, words, kinds, subs, columns, named;
    std::size_t field_count = 0, proto_count = 0, slot_count = 0, choice_count = 0, word_count = 0, sub_count = 0,
                column_count = 0;
    std::map<const am::FieldRules*, std::size_t> rule_index;
    auto words_span = [&](std::span<const std::string_view> all) -> std::string {
      if (all.empty()) return "{}";
      auto first = word_count;
      for (auto word : all) words += quoted(word) + "sv,", ++word_count;
      words += "\n";
      return fmt::format("{{W + {}, {}}}", first, all.size());
    };
    auto rule_of = [&](const am::FieldRules* r) {
      auto [it, is_new] = rule_index.try_emplace(r, rule_index.size());
      if (is_new)
        rules += fmt::format("{{ListKind({}), {}, {}, {}, {}, {}sv, {}sv, {}sv, {}, {}}},\n", int(r->list_kind),
                             r->is_atomic_map, r->patch_merge, r->patch_replace, r->patch_retain_keys,
                             quoted(r->merge_key), quoted(r->default_value), quoted(r->description),
                             words_span(r->list_keys), words_span(r->enum_values));
      return it->second;
    };
    for (const auto* type : types_) {
      std::string spans;
      if (type->fields.empty()) {
        spans = "{}, ";
      } else {
        spans = fmt::format("{{F + {}, {}}}, ", field_count, type->fields.size());
        for (const auto& f : type->fields)
          fields += fmt::format("{{{}sv, builtin_types + {}, R + {}, {}, {}, {}, {}, {}}},\n", quoted(f.name),
                                index_of(f.type), rule_of(f.rules), f.number, f.is_pointer, f.is_omitempty,
                                f.is_omitzero, f.is_required);
        field_count += type->fields.size();
      }
      spans += type->proto.empty() ? "{}, " : fmt::format("{{P + {}, {}}}, ", proto_count, type->proto.size());
      for (const auto& p : type->proto)
        proto += fmt::format("{{{}, {}, {}, {}}},", p.number, p.field, p.first_child, p.child_count);
      proto_count += type->proto.size();
      spans += fmt::format("{}, ", type->proto_roots);
      spans += type->name_slots.empty() ? "{}, " : fmt::format("{{S + {}, {}}}, ", slot_count, type->name_slots.size());
      for (auto s : type->name_slots) slots += fmt::format("{},", s);
      slot_count += type->name_slots.size();
      spans += type->choices.empty() ? "{}" : fmt::format("{{C + {}, {}}}", choice_count, type->choices.size());
      for (const auto& c : type->choices)
        choices += fmt::format("{{TypeKind({}), builtin_types + {}, {}}},", int(c.json_shape), index_of(c.type), c.number);
      choice_count += type->choices.size();
      types += fmt::format("{{TypeKind({}), {}, {}, {}, {}, {}sv, {}sv, {}, {}}},\n", int(type->kind), type->is_atomic,
                           type->is_wrapped_list, type->has_type_meta, type->preserves_unknown, quoted(type->name),
                           quoted(type->description),
                           type->element ? fmt::format("builtin_types + {}", index_of(type->element)) : "nullptr", spans);
      if (!type->name.empty()) named += fmt::format("builtin_types + {},", index_of(type));
    }
    for (const auto& k : schema_.kinds) {
      auto first_sub = sub_count, first_column = column_count;
      for (const auto& s : k.subresources)
        subs += fmt::format("{{{}sv, {}sv, {}sv, {}sv, {}}},\n", quoted(s.name), quoted(s.kind_group),
                            quoted(s.kind_version), quoted(s.kind), s.verbs), ++sub_count;
      for (const auto& c : k.columns)
        columns += fmt::format("{{{}sv, {}sv, {}sv, {}sv, {}}},\n", quoted(c.name), quoted(c.type), quoted(c.format),
                               quoted(c.description), c.priority), ++column_count;
      kinds += fmt::format(
          "{{{{{}sv, {}sv}}, {}sv, builtin_types + {}, {}, {}sv, {}sv, {}, {}, {}, {}, {}, {}, {{B + {}, {}}}, {{L + {}, "
          "{}}}, {{{}sv, {}sv}}, Encoding({}), {}sv}},\n",
          quoted(k.group_version.group), quoted(k.group_version.version), quoted(k.kind), index_of(k.type),
          k.list_type ? fmt::format("builtin_types + {}", index_of(k.list_type)) : "nullptr", quoted(k.resource),
          quoted(k.singular), k.is_namespaced, k.verbs, k.group_priority, k.version_priority, words_span(k.short_names),
          words_span(k.categories), first_sub, sub_count - first_sub, first_column, column_count - first_column,
          quoted(k.storage_version.group), quoted(k.storage_version.version), int(k.storage_encoding),
          quoted(k.storage_prefix));
    }
    std::string out = "// Made by the schema compiler.\n#include \"apimachinery/builtin_types.h\"\n"
        "namespace rusternetes::apimachinery {\nusing namespace std::literals;\n";
    out += fmt::format("extern const Type builtin_types[{}];\nnamespace {{\n", types_.size());
    out += fmt::format("constexpr std::string_view W[] = {{\n{}\"\"sv}};\n", words);
    out += fmt::format("constexpr FieldRules R[] = {{\n{}{{}}}};\n", rules);
    out += fmt::format("constexpr Field F[] = {{\n{}{{}}}};\n", fields);
    out += fmt::format("constexpr ProtoEntry P[] = {{\n{}{{}}}};\n", proto);
    out += fmt::format("constexpr std::uint16_t S[] = {{\n{}0}};\n", slots);
    out += fmt::format("constexpr Choice C[] = {{\n{}{{}}}};\n", choices);
    out += fmt::format("constexpr Subresource B[] = {{\n{}{{}}}};\n", subs);
    out += fmt::format("constexpr Column L[] = {{\n{}{{}}}};\n}}\n", columns);
    out += fmt::format("constinit const Type builtin_types[] = {{\n{}}};\nnamespace {{\n", types);
    out += fmt::format("constexpr Kind K[] = {{\n{}}};\n", kinds);
    out += fmt::format("constexpr const Type* N[] = {{\n{}}};\n}}\n", named);
    out += "const SchemaSet& builtin_schema() {\n  static const SchemaSet& set = *[] {\n    auto* made = new SchemaSet;\n"
           "    made->kinds = K;\n    made->types = N;\n    return made;\n  }();\n  return set;\n}\n}\n";
    return out;
  }

 private:
  const am::SchemaSet& schema_;
  std::vector<const am::Type*> types_;
  std::map<const am::Type*, std::size_t> indexes_;
};

// A C++ identifier for a field: reserved words get an underscore behind.
std::string identifier(std::string_view name) {
  static const std::set<std::string_view> reserved = {"default", "namespace", "template", "operator", "continue", "enum",
      "not", "signed", "class", "delete", "private", "public", "protected", "static", "volatile", "union",
      "auto", "bool", "value", "at", "and", "or", "register", "int", "long", "short", "float", "double", "char", "unsigned", "void", "new", "this", "try", "catch", "throw", "using", "virtual", "for", "while", "do", "if", "else", "switch", "case", "break", "return", "goto", "const", "struct", "typename", "friend", "inline", "extern", "export", "requires", "concept", "xor", "true", "false"};
  std::string out;
  for (char c : name) out += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (reserved.contains(name)) out += '_';
  return out;
}

std::pair<std::string, std::string> split_name(std::string_view full) {  // "core/v1.Pod" → core_v1, Pod
  auto dot = full.find('.');
  std::string package(full.substr(0, dot));
  for (auto& c : package)
    if (c == '/') c = '_';
  return {package, std::string(full.substr(dot + 1))};
}

// One header a package. Structures come after those they contain; one that contains itself is returned as a View.
class Accessors {
 public:
  Accessors(const am::SchemaSet& schema, Tables& tables) : tables_(tables) {
    for (const auto* type : schema.types)
      if (type->kind == am::TypeKind::structure) visit(type);
  }
  const std::map<std::string, std::string>& bodies() const { return bodies_; }
  const std::map<std::string, std::set<std::string>>& includes() const { return includes_; }

 private:
  void visit(const am::Type* type) {
    if (done_.contains(type) || underway_.contains(type)) return;
    underway_.insert(type);
    for (const auto& field : type->fields) {
      const am::Type* inner = field.type;
      while (inner->element) inner = inner->element;
      if (inner->kind == am::TypeKind::structure) visit(inner);
    }
    auto [package, name] = split_name(type->name);
    std::string body = fmt::format("class {} : public View {{\n public:\n  using View::View;\n"
                                   "  static const Type& schema_type() {{ return builtin_types[{}]; }}\n",
                                   name, tables_.index_of(type));
    for (std::size_t i = 0; i < type->fields.size(); ++i) body += member(package, type->fields[i], i);
    body += "};\n";
    bodies_[package] += body;
    underway_.erase(type);
    done_.insert(type);
  }

  std::string cpp_type(const std::string& package, const am::Type* type) {
    using enum am::TypeKind;
    switch (type->kind) {
      case structure: {
        if (!done_.contains(type)) return "View";
        auto [p, n] = split_name(type->name);
        if (p == package) return n;
        includes_[package].insert(p);
        return p + "::" + n;
      }
      case list: return fmt::format("ListView<{}>", cpp_type(package, type->element));
      case map: return fmt::format("MapView<{}>", cpp_type(package, type->element));
      case string: case bytes: case raw: case fields_v1: case quantity: return "std::string_view";
      case boolean: return "bool";
      case int32: case int64: case time: case micro_time: case duration: return "std::int64_t";
      case float64: return "double";
      default: return "View";
    }
  }

  std::string member(const std::string& package, const am::Field& field, std::size_t index) {
    const std::string id = identifier(field.name), type = cpp_type(package, field.type);
    std::string out = fmt::format("  static constexpr int f_{} = {};\n", id, index);
    if (type == "std::string_view") out += fmt::format("  {} {}() const {{ return string_at({}); }}\n", type, id, index);
    else if (type == "bool") out += fmt::format("  bool {}(bool otherwise = false) const {{ return boolean_at({}, otherwise); }}\n", id, index);
    else if (type == "double") out += fmt::format("  double {}(double otherwise = 0) const {{ return floating_at({}, otherwise); }}\n", id, index);
    else if (type == "std::int64_t") out += fmt::format("  {} {}(std::int64_t otherwise = 0) const {{ return integer_at({}, otherwise); }}\n", type, id, index);
    else out += fmt::format("  {} {}() const {{ return {}(at({})); }}\n", type, id, type, index);
    if (field.is_pointer) out += fmt::format("  bool has_{}() const {{ return at({}) != nullptr; }}\n", id, index);
    return out;
  }

  Tables& tables_;
  std::set<const am::Type*> done_, underway_;
  std::map<std::string, std::string> bodies_;
  std::map<std::string, std::set<std::string>> includes_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: schema-compiler OUT_CPP OUT_HEADER_DIR FILE...\n";
    return 2;
  }
  std::vector<std::pair<std::string, std::string>> sources;
  for (int i = 3; i < argc; ++i) {
    std::ifstream in(argv[i]);
    std::stringstream text;
    text << in.rdbuf();
    sources.emplace_back(argv[i], text.str());
  }
  auto schema = am::parse_schema_text(sources);
  if (!schema) {
    std::cerr << schema.error().message << "\n";
    return 1;
  }
  Tables tables(**schema);
  write_file(argv[1], tables.text());
  Accessors accessors(**schema, tables);
  for (const auto& [package, body] : accessors.bodies()) {
    std::string text = "// Made by the schema compiler.\n#pragma once\n#include \"apimachinery/builtin_types.h\"\n#include \"apimachinery/view.h\"\n";
    if (auto it = accessors.includes().find(package); it != accessors.includes().end())
      for (const auto& other : it->second) text += fmt::format("#include \"apimachinery/api/{}.h\"\n", other);
    text += fmt::format("namespace rusternetes::apimachinery::{} {{\n{}}}\n", package, body);
    write_file(std::filesystem::path(argv[2]) / (package + ".h"), text);
  }
}
