#include "launcher/user_kubeconfig.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>

#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

constexpr std::array<const char*, 3> lists{"clusters", "users", "contexts"};

// Writes a node as it was read. yaml-cpp's own emitter would drop the quotes of "123" and "true", and
// client-go would then refuse the number where it wants a text.
void emit(YAML::Emitter& out, const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      out << YAML::Null;
      return;
    case YAML::NodeType::Scalar:
      if (node.Tag() == "!") out << YAML::DoubleQuoted;  // it was quoted
      out << node.Scalar();
      return;
    case YAML::NodeType::Sequence:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginSeq;
      for (const YAML::Node& element : node) emit(out, element);
      out << YAML::EndSeq;
      return;
    case YAML::NodeType::Map:
      if (node.size() == 0) out << YAML::Flow;
      out << YAML::BeginMap;
      for (const auto& entry : node) {
        out << YAML::Key;
        emit(out, entry.first);
        out << YAML::Value;
        emit(out, entry.second);
      }
      out << YAML::EndMap;
      return;
  }
}

std::string to_text(const YAML::Node& node) {
  YAML::Emitter out;
  emit(out, node);
  return std::string(out.c_str()) + "\n";
}

// A node itself would swallow a Status: it converts from everything.
struct Document {
  YAML::Node root;
};

Result<Document> parse(std::string_view text) {
  try {
    YAML::Node root = YAML::Load(std::string(text));
    if (root.IsNull()) root = YAML::Node(YAML::NodeType::Map);
    if (!root.IsMap()) return failure("KubeconfigBroken", "it is not a mapping");
    for (const char* list : lists)
      if (root[list] && !root[list].IsNull() && !root[list].IsSequence())
        return failure("KubeconfigBroken", fmt::format("\"{}\" in it is not a list", list));
    return Document{root};
  } catch (const YAML::Exception& error) {
    return failure("KubeconfigBroken", fmt::format("it is not YAML: {}", error.what()));
  }
}

std::string name_of(const YAML::Node& entry) {
  return entry.IsMap() && entry["name"] && entry["name"].IsScalar() ? entry["name"].Scalar() : std::string();
}

// The list without the entry, in order.
YAML::Node without(const YAML::Node& list, const std::string& name) {
  YAML::Node out(YAML::NodeType::Sequence);
  if (list && list.IsSequence())
    for (const YAML::Node& entry : list)
      if (name.empty() || name_of(entry) != name) out.push_back(entry);
  return out;
}

// Whether any context but the removed one refers to a cluster or user.
bool is_used(const YAML::Node& contexts, const char* field, const std::string& name) {
  for (const YAML::Node& entry : contexts)
    if (entry.IsMap() && entry["context"] && entry["context"].IsMap() && entry["context"][field] &&
        entry["context"][field].IsScalar() && entry["context"][field].Scalar() == name)
      return true;
  return false;
}

bool is_skeleton(const YAML::Node& root) {
  for (const auto& entry : root) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (key == "apiVersion" || key == "kind") continue;
    const bool is_empty = entry.second.IsNull() ||
                          (entry.second.IsScalar() && entry.second.Scalar().empty()) ||
                          ((entry.second.IsMap() || entry.second.IsSequence()) && entry.second.size() == 0);
    if (!is_empty) return false;
  }
  return true;
}

}  // namespace

Result<> check_kubeconfig(std::string_view text) {
  RN_TRY([[maybe_unused]] const Document document, parse(text));
  return {};
}

bool has_secrets(std::string_view text) {
  const auto document = parse(text);
  if (!document || !document->root["users"]) return false;
  for (const YAML::Node& entry : document->root["users"]) {
    if (!entry.IsMap() || !entry["user"] || !entry["user"].IsMap()) continue;
    for (const char* field : {"client-key-data", "token", "password"})
      if (entry["user"][field]) return true;
  }
  return false;
}

Result<std::string> merge_kubeconfig(std::string_view text, std::string_view addition) {
  RN_TRY(const Document document, parse(text));
  RN_TRY(const Document additional, parse(addition));
  YAML::Node root = document.root;
  const YAML::Node added = additional.root;
  if (!root["apiVersion"]) root["apiVersion"] = "v1";
  if (!root["kind"]) root["kind"] = "Config";
  for (const char* list : lists) {
    YAML::Node merged = without(root[list], "");
    for (const YAML::Node& entry : without(added[list], "")) {
      merged = without(merged, name_of(entry));
      merged.push_back(entry);
    }
    root[list] = merged;
  }
  if (added["current-context"]) root["current-context"] = added["current-context"];
  return to_text(root);
}

Result<std::string> renew_kubeconfig(std::string_view text, std::string_view addition) {
  RN_TRY(const Document document, parse(text));
  RN_TRY(const Document additional, parse(addition));
  YAML::Node root = document.root;
  bool is_changed = false;
  for (const char* list : lists) {
    if (!root[list] || !root[list].IsSequence()) continue;
    YAML::Node renewed(YAML::NodeType::Sequence);
    for (const YAML::Node& entry : root[list]) {
      YAML::Node kept = entry;
      for (const YAML::Node& fresh : without(additional.root[list], "")) {
        if (name_of(fresh) != name_of(entry) || to_text(fresh) == to_text(entry)) continue;
        kept.reset(fresh);
        is_changed = true;
      }
      renewed.push_back(kept);
    }
    root[list] = renewed;
  }
  return is_changed ? to_text(root) : std::string(text);
}

Result<std::string> remove_from_kubeconfig(std::string_view text, std::string_view name) {
  RN_TRY(const Document document, parse(text));
  YAML::Node root = document.root;
  const std::string context(name);
  std::string cluster = context, user = context;
  if (root["contexts"] && root["contexts"].IsSequence())
    for (const YAML::Node& entry : root["contexts"]) {
      if (name_of(entry) != context || !entry["context"] || !entry["context"].IsMap()) continue;
      const auto field = [&](const char* key) {
        const YAML::Node value = entry["context"][key];
        return value && value.IsScalar() ? value.Scalar() : context;
      };
      cluster = field("cluster");
      user = field("user");
    }
  const YAML::Node contexts = without(root["contexts"], context);
  if (root["contexts"]) root["contexts"] = contexts;
  // A cluster or user that another context of the user's own stands on is left.
  if (root["clusters"] && !is_used(contexts, "cluster", cluster))
    root["clusters"] = without(root["clusters"], cluster);
  if (root["users"] && !is_used(contexts, "user", user)) root["users"] = without(root["users"], user);
  if (root["current-context"] && root["current-context"].IsScalar() &&
      root["current-context"].Scalar() == context)
    root["current-context"] = YAML::Load("\"\"");
  if (is_skeleton(root)) return std::string();
  return to_text(root);
}

}  // namespace rusternetes::launcher
