// Reads the text form of the schema. A file describes one package:
//
//   package apps/v1                         how other packages name its types
//   group apps version v1                   "" is the core group
//   priority 2 0                            discovery's order of the group and of the version
//   kind Deployment                         then, indented: resource, verbs, store, subresource, column
//   type DeploymentSpec [map=atomic]        then, indented: name number type attributes... [-- description]

#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <set>
#include <sstream>

#include "apimachinery/schema_builder.h"

namespace rusternetes::apimachinery {
namespace {

struct Line {
  const std::string* file;
  int number;
  std::vector<std::string> words;
  std::string description;
};

struct TypeSource {
  Line head;
  std::string package;
  std::vector<Line> fields;
  Type* type = nullptr;
  enum { untouched, underway, done } state = untouched;
};

struct KindSource {
  Line head;
  std::string package;
  std::vector<Line> lines;
};

struct Package {
  std::string name, group, version;
  int group_priority = 1000, version_priority = 0;
};

// Words are split at spaces; "..." is one word. What follows " -- " is the description.
Line split(const std::string& file, int number, std::string text) {
  Line line{&file, number, {}, {}};
  if (auto dashes = text.find(" -- "); dashes != std::string::npos) {
    line.description = text.substr(dashes + 4);
    text.resize(dashes);
  }
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    std::size_t end;
    if (text[at] == '"') {
      end = std::min(text.find('"', at + 1), text.size());
      line.words.push_back(text.substr(at + 1, end - at - 1));
      ++end;
    } else {
      end = std::min(text.find(' ', at), text.size());
      line.words.push_back(text.substr(at, end - at));
    }
    at = end;
  }
  return line;
}

class Parser {
 public:
  explicit Parser(const SchemaSet* imported) : imported_(imported) {}

  Result<std::unique_ptr<OwnedSchema>> run(const std::vector<std::pair<std::string, std::string>>& sources) {
    for (const auto& [file, text] : sources) RN_CHECK(read(file, text));
    for (auto& [name, source] : types_) {
      const bool is_choice = source.fields.size() > 1 && is_all_inline(source);
      const bool is_wrapped = source.fields.size() == 1 && source.fields[0].words[0] == "(items)";
      source.type = schema_->new_type(is_choice    ? TypeKind::choice
                                      : is_wrapped ? TypeKind::list
                                                   : TypeKind::structure,
                                      name);
      source.type->description = schema_->keep(source.head.description);
    }
    for (auto& [name, source] : types_) RN_CHECK(resolve(source));
    for (const auto& kind : kinds_) RN_CHECK(add_kind(kind));
    schema_->finish();
    return std::move(schema_);
  }

 private:
  Status fail(const Line& line, std::string_view what) {
    return internal_error(fmt::format("{}:{}: {}", *line.file, line.number, what));
  }

  static bool is_all_inline(const TypeSource& source) {
    for (const auto& field : source.fields)
      if (field.words[0] != "(inline)") return false;
    return true;
  }

  Result<void> read(const std::string& file, const std::string& text) {
    std::istringstream in(text);
    std::string raw;
    Package package;
    std::vector<Line>* block = nullptr;
    for (int number = 1; std::getline(in, raw); ++number) {
      if (raw.empty() || raw[0] == '#') continue;
      Line line = split(file, number, raw);
      if (line.words.empty()) continue;
      if (raw[0] == ' ') {
        if (!block) return fail(line, "an indented line needs a kind or type above it");
        block->push_back(std::move(line));
        continue;
      }
      const auto& word = line.words[0];
      if (word == "package" && line.words.size() == 2) {
        package.name = line.words[1];
      } else if (word == "group" && line.words.size() == 4) {
        package.group = line.words[1];
        package.version = line.words[3];
      } else if (word == "priority" && line.words.size() == 3) {
        package.group_priority = std::stoi(line.words[1]);
        package.version_priority = std::stoi(line.words[2]);
      } else if (word == "kind" && line.words.size() == 2) {
        kinds_.push_back({line, package.name, {}});
        block = &kinds_.back().lines;
      } else if (word == "type" && line.words.size() >= 2) {
        auto& source = types_[package.name + "." + line.words[1]];
        if (source.type || !source.fields.empty()) return fail(line, "the type is described twice");
        source.head = line;
        source.package = package.name;
        block = &source.fields;
      } else {
        return fail(line, "expected package, group, priority, kind or type");
      }
      packages_[package.name] = package;
    }
    return {};
  }

  // "[]map[string]meta/v1.Condition?" → type, and whether it is a pointer.
  Result<const Type*> type_of(const Line& line, std::string_view package, std::string_view word) {
    if (word.starts_with("[]")) {
      RN_TRY(const Type* element, type_of(line, package, word.substr(2)));
      return schema_->list_of(element);
    }
    if (word.starts_with("map[string]")) {
      RN_TRY(const Type* element, type_of(line, package, word.substr(11)));
      return schema_->map_of(element);
    }
    if (const Type* word_kind = word_type(word)) return word_kind;
    const bool is_qualified = word.find('.') != std::string_view::npos;
    auto found = types_.find(is_qualified ? std::string(word) : fmt::format("{}.{}", package, word));
    if (found == types_.end() && imported_)
      for (const Type* type : imported_->types)
        if (type->name == word) return type;
    if (found == types_.end()) return fail(line, fmt::format("there is no type {}", word));
    return found->second.type;
  }

  TypeSource* source_of(const Type* type) {
    auto found = types_.find(std::string(type->name));
    return found == types_.end() ? nullptr : &found->second;
  }

  Result<void> resolve(TypeSource& source) {
    if (source.state == TypeSource::done) return {};
    if (source.state == TypeSource::underway) return fail(source.head, "the type contains itself inline");
    source.state = TypeSource::underway;
    for (std::size_t i = 2; i < source.head.words.size(); ++i)
      if (source.head.words[i] == "map=atomic") source.type->is_atomic = true;
    std::vector<OwnedSchema::FieldDraft> drafts;
    for (const auto& line : source.fields) {
      RN_TRY(auto draft, field_of(line, source.package));
      if (draft.is_inline && draft.field.type->kind == TypeKind::structure)
        if (auto* inner = source_of(draft.field.type)) RN_CHECK(resolve(*inner));
      drafts.push_back(draft);
    }
    if (source.type->kind == TypeKind::choice) {
      std::vector<Choice> choices;
      for (const auto& draft : drafts)
        choices.push_back({draft.field.type->kind, draft.field.type, draft.field.number});
      source.type->choices = schema_->keep(std::move(choices));
    } else if (source.type->kind == TypeKind::list) {
      source.type->is_wrapped_list = true;
      source.type->element = drafts[0].field.type->element;
    } else {
      schema_->set_fields(*source.type, drafts);
    }
    source.state = TypeSource::done;
    return {};
  }

  Result<OwnedSchema::FieldDraft> field_of(const Line& line, std::string_view package) {
    if (line.words.size() < 3) return fail(line, "a field needs a name, a number and a type");
    OwnedSchema::FieldDraft draft;
    draft.is_inline = line.words[0] == "(inline)";
    draft.field.name = schema_->keep(line.words[0]);
    if (line.words[1] != "-") draft.field.number = static_cast<std::uint32_t>(std::stoul(line.words[1]));
    std::string_view type_word = line.words[2];
    if (type_word.ends_with('?')) {
      draft.field.is_pointer = true;
      type_word.remove_suffix(1);
    }
    RN_TRY(draft.field.type, type_of(line, package, type_word));
    FieldRules rules;
    bool has_rules = !line.description.empty();
    rules.description = schema_->keep(line.description);
    for (std::size_t i = 3; i < line.words.size(); ++i) {
      const std::string& word = line.words[i];
      if (word == "omitempty") draft.field.is_omitempty = true;
      else if (word == "omitzero") draft.field.is_omitzero = true;
      else if (word == "required") draft.field.is_required = true;
      else if (has_rules = true; !add_rule(rules, word)) return fail(line, fmt::format("unknown attribute {}", word));
    }
    if (has_rules) draft.field.rules = schema_->keep(rules);
    return draft;
  }

  bool add_rule(FieldRules& rules, std::string_view word) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    if (name == "list") {
      rules.list_kind = value == "atomic" ? ListKind::atomic : value == "set" ? ListKind::set : ListKind::map;
    } else if (name == "map") {
      rules.is_atomic_map = value == "atomic";
    } else if (name == "keys") {
      rules.list_keys = schema_->keep(words_of(value, ','));
    } else if (name == "enum") {
      rules.enum_values = schema_->keep(words_of(value, '|'));
    } else if (name == "default") {
      rules.default_value = schema_->keep(value);
    } else if (name == "mergeKey") {
      rules.merge_key = schema_->keep(value);
    } else if (name == "patch") {
      for (auto strategy : words_of(value, ',')) {
        rules.patch_merge |= strategy == "merge";
        rules.patch_replace |= strategy == "replace";
        rules.patch_retain_keys |= strategy == "retainKeys";
      }
    } else {
      return false;
    }
    return true;
  }

  static std::vector<std::string_view> words_of(std::string_view text, char separator) {
    std::vector<std::string_view> words;
    for (;;) {
      const auto end = text.find(separator);
      words.push_back(text.substr(0, end));
      if (end == std::string_view::npos) return words;
      text.remove_prefix(end + 1);
    }
  }

  const Type* named_type(const std::string& name) {
    auto found = types_.find(name);
    return found == types_.end() ? nullptr : found->second.type;
  }

  Result<void> add_kind(const KindSource& source) {
    const Package& package = packages_[source.package];
    const std::string& name = source.head.words[1];
    const Type* type = named_type(package.name + "." + name);
    if (!type) return fail(source.head, "the kind has no type");
    auto& kind = schema_->new_kind();
    kind.group_version = {schema_->keep(package.group == "core" ? "" : package.group), schema_->keep(package.version)};
    kind.kind = schema_->keep(name);
    kind.type = type;
    kind.list_type = named_type(package.name + "." + name + "List");
    kind.group_priority = package.group_priority;
    kind.version_priority = package.version_priority;
    std::vector<Subresource> subresources;
    std::vector<Column> columns;
    for (const auto& line : source.lines) {
      const auto& words = line.words;
      if (words[0] == "resource" && words.size() >= 3) {
        kind.resource = schema_->keep(words[1]);
        kind.is_namespaced = words[2] == "namespaced";
        for (std::size_t i = 3; i < words.size(); ++i) {
          std::string_view word = words[i];
          if (word.starts_with("singular=")) kind.singular = schema_->keep(word.substr(9));
          else if (word.starts_with("short=")) kind.short_names = schema_->keep(words_of(word.substr(6), ','));
          else if (word.starts_with("categories=")) kind.categories = schema_->keep(words_of(word.substr(11), ','));
          else return fail(line, fmt::format("unknown attribute {}", word));
        }
      } else if (words[0] == "verbs" && words.size() == 2) {
        kind.verbs = parse_verbs(words[1]);
        if (!kind.verbs) return fail(line, "unknown verb");
      } else if (words[0] == "store" && words.size() == 4) {
        const auto version = words[1].rfind('/');
        const auto group = words[1].substr(0, version);
        kind.storage_version = {schema_->keep(group == "core" ? "" : group), schema_->keep(words[1].substr(version + 1))};
        kind.storage_encoding = words[2] == "json" ? Encoding::json : Encoding::protobuf;
        kind.storage_prefix = schema_->keep(words[3]);
      } else if (words[0] == "subresource" && words.size() == 4) {
        Subresource sub{schema_->keep(words[1]), {}, {}, schema_->keep(words[2]), parse_verbs(words[3])};
        const KindSource* owner = kind_named(words[2], source.package);
        if (!owner) return fail(line, "the subresource's kind is not served");
        const Package& home = packages_[owner->package];
        sub.kind_group = schema_->keep(home.group == "core" ? "" : home.group);
        sub.kind_version = schema_->keep(home.version);
        subresources.push_back(sub);
      } else if (words[0] == "column" && words.size() >= 3) {
        Column column{schema_->keep(words[1]), schema_->keep(words[2]), {}, schema_->keep(line.description), 0};
        for (std::size_t i = 3; i < words.size(); ++i) {
          if (words[i].starts_with("format=")) column.format = schema_->keep(words[i].substr(7));
          else if (words[i] == "wide") column.priority = 1;
          else return fail(line, fmt::format("unknown attribute {}", words[i]));
        }
        columns.push_back(column);
      } else {
        return fail(line, "expected resource, verbs, store, subresource or column");
      }
    }
    kind.subresources = schema_->keep(std::move(subresources));
    kind.columns = schema_->keep(std::move(columns));
    return {};
  }

  // A kind by name: in the package itself, else the only or last package that has it (Scale, Eviction, TokenRequest).
  const KindSource* kind_named(std::string_view name, std::string_view package) {
    const KindSource* found = nullptr;
    for (const auto& kind : kinds_)
      if (kind.head.words[1] == name) {
        if (kind.package == package) return &kind;
        found = &kind;
      }
    return found;
  }

  const SchemaSet* imported_;
  std::unique_ptr<OwnedSchema> schema_ = std::make_unique<OwnedSchema>();
  std::map<std::string, Package> packages_;
  std::map<std::string, TypeSource> types_;
  std::vector<KindSource> kinds_;
};

}  // namespace

Result<std::unique_ptr<OwnedSchema>> parse_schema_text(
    const std::vector<std::pair<std::string, std::string>>& sources, const SchemaSet* imported) {
  return Parser(imported).run(sources);
}

}  // namespace rusternetes::apimachinery
