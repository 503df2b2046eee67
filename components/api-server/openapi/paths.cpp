#include "api-server/openapi/paths.h"

#include <fmt/format.h>

#include <algorithm>

#include "api-server/openapi/operation.h"
#include "api-server/strategy.h"

namespace rusternetes::api_server::openapi {

using namespace apimachinery;

namespace {

constexpr std::string_view watch_media_types[] = {
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"};
constexpr std::string_view log_media_types[] = {"text/plain", "application/json", "application/yaml",
                                                "application/vnd.kubernetes.protobuf"};
constexpr std::string_view patch_media_types[] = {
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml"};

void sort_by_name(std::vector<Parameter>& parameters) {
  std::stable_sort(parameters.begin(), parameters.end(), [](auto& a, auto& b) { return a.name < b.name; });
}

// Makes the operations of one resource.
class Resource {
 public:
  Resource(PathItems& paths, Schemas& schemas, const Kind& kind)
      : paths_(paths), schemas_(schemas), kind_(kind) {
    const auto& version = kind.group_version;
    root_ = version.group.empty() ? fmt::format("/api/{}", version.version)
                                  : fmt::format("/apis/{}/{}", version.group, version.version);
    tag_ = fmt::format("{}_{}", tag_group(version.group), version.version);
    id_ = capitalized(tag_group(version.group)) + capitalized(version.version);
    scope_ = kind.is_namespaced ? "Namespaced" : "";
    collection_ = (kind.is_namespaced ? "/namespaces/{namespace}/" : "/") + std::string(kind.resource);
  }

  void add() {
    object_ = kind_.type ? schemas_.add(*kind_.type) : std::string();
    add_collection();
    add_object();
    if (kind_.verbs & verb_watch) add_watches();
    for (const auto& sub : kind_.subresources)
      sub.kind.ends_with("Options") ? add_connect(sub) : add_subresource(sub);
  }

 private:
  Operation operation(std::string_view method, std::string action, std::string id,
                      std::string description) const {
    Operation out;
    out.method = method;
    out.action = std::move(action);
    out.id = std::move(id);
    out.description = std::move(description);
    out.tag = tag_;
    out.version = kind_.group_version;
    out.kind = std::string(kind_.kind);
    return out;
  }
  Parameter name_parameter() const {
    Parameter name = common_parameter("name");
    name.description = fmt::format("The name of the {}.", kind_.kind);
    return name;
  }
  std::vector<Parameter> path_parameters(bool has_name, bool has_namespace) const {
    std::vector<Parameter> out;
    if (has_name) out.push_back(name_parameter());
    if (has_namespace) out.push_back(common_parameter("namespace"));
    out.push_back(common_parameter("pretty"));
    return out;
  }
  // A namespace is only marked by its deletion, and documented with a Status.
  bool answers_deleted() const {
    return kind_.resource != "namespaces" &&
           strategy_for(kind_.group_version.group, kind_.resource).returns_deleted_object();
  }
  std::string status() { return schemas_.add(*find_meta("meta/v1.Status")); }
  static const Type* find_meta(std::string_view name) {
    for (const Type* type : builtin_schema().types)
      if (type->name == name) return type;
    return nullptr;
  }

  Operation list(std::string id) {
    Operation out = operation("get", "list", std::move(id),
                              fmt::format("Lists or watches objects of kind {}.", kind_.kind));
    out.parameters = list_parameters();
    out.produces = watch_media_types;
    out.answer = kind_.list_type ? schemas_.add(*kind_.list_type) : object_;
    return out;
  }
  Operation create(std::string id, std::string description, const std::string& component) const {
    Operation out = operation("post", "post", std::move(id), std::move(description));
    out.parameters = common_parameters({"dryRun", "fieldManager", "fieldValidation"});
    out.body = out.answer = component;
    out.is_body_required = true;
    out.codes = {200, 201, 202};
    return out;
  }
  Operation replace(std::string id, std::string description, const std::string& component) const {
    Operation out = create(std::move(id), std::move(description), component);
    out.method = "put";
    out.action = "put";
    out.codes = {200, 201};
    return out;
  }
  Operation patch(std::string id, std::string description, const std::string& component) {
    Operation out = operation("patch", "patch", std::move(id), std::move(description));
    out.parameters = common_parameters({"dryRun", "fieldManager", "fieldValidation", "force"});
    out.body = schemas_.add_word("io.k8s.apimachinery.pkg.apis.meta.v1.Patch");
    out.is_body_required = true;
    out.consumes = patch_media_types;
    out.answer = component;
    out.codes = {200, 201};
    return out;
  }

  void add_collection() {
    std::vector<Operation> operations;
    if (kind_.verbs & verb_list)
      operations.push_back(list(fmt::format("list{}{}{}", id_, scope_, kind_.kind)));
    if (kind_.verbs & verb_create)
      operations.push_back(create(fmt::format("create{}{}{}", id_, scope_, kind_.kind),
                                  fmt::format("Creates a {}.", kind_.kind), object_));
    if (kind_.verbs & verb_deletecollection) {
      Operation all = operation("delete", "deletecollection",
                                fmt::format("delete{}Collection{}{}", id_, scope_, kind_.kind),
                                fmt::format("Deletes all objects of kind {} that match.", kind_.kind));
      all.parameters = delete_collection_parameters();
      all.body = schemas_.add(*find_meta("meta/v1.DeleteOptions"));
      all.answer = status();
      operations.push_back(std::move(all));
    }
    if (!operations.empty())
      paths_[root_ + collection_] =
          path_item(schemas_, std::move(operations), path_parameters(false, kind_.is_namespaced));
    if (kind_.is_namespaced && (kind_.verbs & verb_list)) {
      Operation everywhere = list(fmt::format("list{}{}ForAllNamespaces", id_, kind_.kind));
      everywhere.parameters.clear();
      paths_[fmt::format("{}/{}", root_, kind_.resource)] =
          path_item(schemas_, {everywhere}, list_path_parameters(false, false));
    }
  }

  void add_object() {
    std::vector<Operation> operations;
    if (kind_.verbs & verb_get) {
      Operation read = operation("get", "get", fmt::format("read{}{}{}", id_, scope_, kind_.kind),
                                 fmt::format("Reads the {}.", kind_.kind));
      read.answer = object_;
      operations.push_back(std::move(read));
    }
    if (kind_.verbs & verb_update)
      operations.push_back(replace(fmt::format("replace{}{}{}", id_, scope_, kind_.kind),
                                   fmt::format("Replaces the {}.", kind_.kind), object_));
    if (kind_.verbs & verb_delete) {
      Operation one = operation("delete", "delete", fmt::format("delete{}{}{}", id_, scope_, kind_.kind),
                                fmt::format("Deletes the {}.", kind_.kind));
      one.parameters = delete_parameters();
      one.body = schemas_.add(*find_meta("meta/v1.DeleteOptions"));
      one.answer = answers_deleted() ? object_ : status();
      one.codes = {200, 202};
      operations.push_back(std::move(one));
    }
    if (kind_.verbs & verb_patch)
      operations.push_back(patch(fmt::format("patch{}{}{}", id_, scope_, kind_.kind),
                                 fmt::format("Changes parts of the {}.", kind_.kind), object_));
    if (!operations.empty())
      paths_[root_ + collection_ + "/{name}"] =
          path_item(schemas_, std::move(operations), path_parameters(true, kind_.is_namespaced));
  }

  // A watch's options stand at the path, beside the path's own parameters, in the order of names.
  std::vector<Parameter> list_path_parameters(bool has_name, bool has_namespace) const {
    std::vector<Parameter> out = list_parameters();
    for (auto& parameter : path_parameters(has_name, has_namespace)) out.push_back(std::move(parameter));
    sort_by_name(out);
    return out;
  }
  void add_watch(const std::string& path, std::string id, std::string action, bool has_name,
                 bool has_namespace) {
    Operation watch = operation(
        "get", std::move(action), std::move(id),
        fmt::format("Watches objects of kind {}. Deprecated: the watch parameter of a list does the same.",
                    kind_.kind));
    watch.produces = watch_media_types;
    watch.answer = schemas_.add(*find_meta("meta/v1.WatchEvent"));
    paths_[path] = path_item(schemas_, {watch}, list_path_parameters(has_name, has_namespace));
  }
  void add_watches() {
    const std::string root = root_ + "/watch";
    add_watch(root + collection_, fmt::format("watch{}{}{}List", id_, scope_, kind_.kind), "watchlist", false,
              kind_.is_namespaced);
    add_watch(root + collection_ + "/{name}", fmt::format("watch{}{}{}", id_, scope_, kind_.kind), "watch",
              true, kind_.is_namespaced);
    if (kind_.is_namespaced)
      add_watch(fmt::format("{}/{}", root, kind_.resource),
                fmt::format("watch{}{}ListForAllNamespaces", id_, kind_.kind), "watchlist", false, false);
  }

  void add_subresource(const Subresource& sub) {
    const Kind* kind = schemas_.registry().find_kind(sub.kind_group, sub.kind_version, sub.kind);
    const std::string component = kind && kind->type ? schemas_.add(*kind->type) : std::string();
    const std::string suffix = fmt::format("{}{}{}{}", id_, scope_, kind_.kind, capitalized(sub.name));
    std::vector<Operation> operations;
    std::vector<Parameter> parameters = path_parameters(true, kind_.is_namespaced);
    if (sub.verbs & verb_get) {
      Operation read =
          operation("get", "get", "read" + suffix, fmt::format("Reads {} of the {}.", sub.name, kind_.kind));
      read.answer = component;
      if (sub.name == "log") {
        read.answer.clear();
        read.produces = log_media_types;
        if (const Type* options = find_meta("core/v1.PodLogOptions"))
          for (auto& parameter : option_parameters(*options)) parameters.push_back(std::move(parameter));
      }
      operations.push_back(std::move(read));
    }
    if (sub.verbs & verb_update)
      operations.push_back(replace("replace" + suffix,
                                   fmt::format("Replaces {} of the {}.", sub.name, kind_.kind), component));
    if (sub.verbs & verb_create)
      operations.push_back(
          create("create" + suffix, fmt::format("Creates {} of the {}.", sub.name, kind_.kind), component));
    if (sub.verbs & verb_patch)
      operations.push_back(patch(
          "patch" + suffix, fmt::format("Changes parts of {} of the {}.", sub.name, kind_.kind), component));
    for (auto& one : operations) {
      one.version = {sub.kind_group, sub.kind_version};
      one.kind = std::string(sub.kind);
    }
    sort_by_name(parameters);
    paths_[fmt::format("{}{}/{{name}}/{}", root_, collection_, sub.name)] =
        path_item(schemas_, std::move(operations), parameters);
  }

  // Subresources that are a connection: their kind is the options' (PodExecOptions), which the query carries.
  void add_connect(const Subresource& sub) {
    constexpr std::pair<std::uint16_t, std::string_view> methods[] = {{verb_get, "get"},
                                                                      {verb_update, "put"},
                                                                      {verb_create, "post"},
                                                                      {verb_delete, "delete"},
                                                                      {verb_patch, "patch"}};
    const bool is_proxy = sub.name == "proxy";
    const Kind* kind = schemas_.registry().find_kind(sub.kind_group, sub.kind_version, sub.kind);
    const Type* options = kind ? kind->type : find_meta(fmt::format("core/v1.{}", sub.kind));
    for (const bool has_path : {false, true}) {
      if (has_path && !is_proxy) continue;
      std::vector<Operation> operations;
      auto add = [&](std::string_view method) {
        Operation one = operation(method, "connect",
                                  fmt::format("connect{}{}{}{}{}{}", id_, capitalized(method), scope_,
                                              kind_.kind, capitalized(sub.name), has_path ? "WithPath" : ""),
                                  fmt::format("Connects to {} of the {}.", sub.name, kind_.kind));
        one.version = {sub.kind_group, sub.kind_version};
        one.kind = std::string(sub.kind);
        one.produces = any_media_type;
        operations.push_back(std::move(one));
      };
      for (const auto& [verb, method] : methods)
        if (sub.verbs & verb) add(method);
      if (is_proxy) add("options"), add("head");
      std::vector<Parameter> parameters{name_parameter()};
      if (kind_.is_namespaced) parameters.push_back(common_parameter("namespace"));
      if (has_path) parameters.push_back(common_parameter("path"));
      if (options)
        for (auto& parameter : option_parameters(*options)) parameters.push_back(std::move(parameter));
      // A proxied path and the option of that name are two parameters, as Kubernetes has them.
      sort_by_name(parameters);
      paths_[fmt::format("{}{}/{{name}}/{}{}", root_, collection_, sub.name, has_path ? "/{path}" : "")] =
          path_item(schemas_, std::move(operations), parameters);
    }
  }

  PathItems& paths_;
  Schemas& schemas_;
  const Kind& kind_;
  std::string root_, tag_, id_, scope_, collection_, object_;
};

}  // namespace

std::string capitalized(std::string_view word) {
  std::string out(word);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

std::string tag_group(std::string_view group) {
  if (group.empty()) return "core";
  if (group.ends_with(".k8s.io")) group.remove_suffix(7);
  std::string out;
  while (!group.empty()) {
    const auto dot = group.find('.');
    const auto word = group.substr(0, dot);
    out += out.empty() ? std::string(word) : capitalized(word);
    group = dot == std::string_view::npos ? std::string_view{} : group.substr(dot + 1);
  }
  return out;
}

void add_resource_paths(PathItems& paths, Schemas& schemas, const Kind& kind) {
  Resource(paths, schemas, kind).add();
}

void add_plain_path(PathItems& paths, const Schemas& schemas, const PlainPath& plain) {
  Operation read;
  read.method = "get";
  read.id = plain.operation;
  read.tag = plain.tag;
  read.description = plain.description;
  read.produces = plain.media_types;
  read.consumes = {};
  if (!plain.component.empty()) read.consumes = plain.media_types;
  read.answer = plain.component;
  paths[plain.path] = path_item(schemas, {read}, {});
}

}  // namespace rusternetes::api_server::openapi
