#include "kubelet/container/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace rusternetes::kubelet {

std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& lookup) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const auto end = text[i + 1] == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (end == std::string_view::npos) {
      // "$(" without its end is left as it is, and so is "$x".
      out += '$';
      out += text[++i];
      continue;
    }
    const auto name = text.substr(i + 2, end - i - 2);
    if (const auto* value = lookup(name))
      out += *value;
    else
      out += text.substr(i, end - i + 1);
    i = end;
  }
  return out;
}

std::string expand(std::string_view text, const Variables& variables) {
  return expand(text, [&](std::string_view name) -> const std::string* {
    auto it = variables.find(name);
    return it == variables.end() ? nullptr : &it->second;
  });
}

namespace {

std::string variable_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

void add_service(Variables& out, const core_v1::Service& service) {
  const std::string name = variable_name(service.metadata().name());
  const std::string ip(service.spec().clusterIP());
  out[name + "_SERVICE_HOST"] = ip;
  bool is_first = true;
  for (const auto port : service.spec().ports()) {
    const std::string number = std::to_string(port.port());
    std::string protocol(port.protocol().empty() ? "TCP" : port.protocol());
    std::string lower = protocol;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string url = ip.find(':') == std::string::npos ? fmt::format("{}://{}:{}", lower, ip, number)
                                                              : fmt::format("{}://[{}]:{}", lower, ip, number);
    if (is_first) {
      out[name + "_SERVICE_PORT"] = number;
      out[name + "_PORT"] = url;
      is_first = false;
    }
    if (!port.name().empty()) out[name + "_SERVICE_PORT_" + variable_name(port.name())] = number;
    const std::string prefix = fmt::format("{}_PORT_{}_{}", name, number, variable_name(protocol));
    out[prefix] = url;
    out[prefix + "_PROTO"] = lower;
    out[prefix + "_PORT"] = number;
    out[prefix + "_ADDR"] = ip;
  }
}

}  // namespace

Variables service_environment(const std::vector<Document>& services, std::string_view name_space, bool has_links) {
  Variables out;
  // The namespace's own Services win over default/kubernetes.
  for (const bool own : {false, true})
    for (const auto& document : services) {
      const core_v1::Service service(&document.root());
      const auto ip = service.spec().clusterIP();
      if (ip.empty() || ip == "None") continue;
      const bool is_own = has_links && service.metadata().namespace_() == name_space;
      const bool is_master = service.metadata().namespace_() == "default" && service.metadata().name() == "kubernetes";
      if (own ? is_own : is_master) add_service(out, service);
    }
  return out;
}

namespace {

class EnvironmentBuilder {
 public:
  EnvironmentBuilder(const core_v1::Pod& pod, const core_v1::Container& container, const Variables& services,
                     const ObjectSet& objects, const DownwardContext& context)
      : pod_(pod), container_(container), services_(services), objects_(objects), context_(context) {}

  Result<Environment> run() {
    for (const auto source : container_.envFrom()) RN_CHECK(add_all(source));
    for (const auto variable : container_.env()) RN_CHECK(add(variable));
    for (const auto& [name, value] : services_)
      if (!variables_.contains(name)) set(name, value);
    Environment out;
    for (const auto& name : order_) out.emplace_back(name, variables_[name]);
    return out;
  }

 private:
  void set(const std::string& name, std::string value) {
    if (variables_.insert_or_assign(name, std::move(value)).second) order_.push_back(name);
  }

  Result<void> add_all(const core_v1::EnvFromSource& source) {
    const std::string prefix(source.prefix());
    if (const auto reference = source.configMapRef()) {
      const auto* object = objects_.find(ObjectKind::config_map, reference.name());
      if (!object) return reference.optional() ? Result<void>{} : object_not_found(ObjectKind::config_map, reference.name());
      for (const auto [key, value] : core_v1::ConfigMap(&object->root()).data()) set(prefix + std::string(key), std::string(value));
    } else if (const auto reference = source.secretRef()) {
      const auto* object = objects_.find(ObjectKind::secret, reference.name());
      if (!object) return reference.optional() ? Result<void>{} : object_not_found(ObjectKind::secret, reference.name());
      for (const auto [key, value] : core_v1::Secret(&object->root()).data()) set(prefix + std::string(key), std::string(value));
    }
    return {};
  }

  // Nothing when an optional key or object is absent: then the variable is not set at all.
  Result<std::optional<std::string>> key_of(ObjectKind kind, std::string_view name, std::string_view key, bool is_optional) {
    const auto* object = objects_.find(kind, name);
    if (!object) {
      if (is_optional) return std::optional<std::string>{};
      return object_not_found(kind, name);
    }
    const auto data = kind == ObjectKind::secret ? core_v1::Secret(&object->root()).data() : core_v1::ConfigMap(&object->root()).data();
    if (data.contains(key)) return std::optional<std::string>(data.get(key));
    if (is_optional) return std::optional<std::string>{};
    return internal_error(fmt::format("couldn't find key {} in {} {}/{}", key,
                                      kind == ObjectKind::secret ? "Secret" : "ConfigMap", pod_.metadata().namespace_(), name));
  }

  Result<void> add(const core_v1::EnvVar& variable) {
    const std::string name(variable.name());
    const auto source = variable.valueFrom();
    if (!variable.value_().empty() || !source) {
      set(name, expand(variable.value_(), [&](std::string_view wanted) { return lookup(wanted); }));
      return {};
    }
    if (const auto field = source.fieldRef()) {
      RN_TRY(auto value, field_value(pod_, field.fieldPath(), context_));
      set(name, std::move(value));
    } else if (const auto resource = source.resourceFieldRef()) {
      RN_TRY(auto value, resource_value(pod_, resource, container_.name(), context_));
      set(name, std::move(value));
    } else if (const auto map = source.configMapKeyRef()) {
      RN_TRY(auto value, key_of(ObjectKind::config_map, map.name(), map.key(), map.optional()));
      if (value) set(name, *std::move(value));
    } else if (const auto secret = source.secretKeyRef()) {
      RN_TRY(auto value, key_of(ObjectKind::secret, secret.name(), secret.key(), secret.optional()));
      if (value) set(name, *std::move(value));
    } else {
      return internal_error(fmt::format("variable {}: this source of a value is not supported", name));
    }
    return {};
  }

  const std::string* lookup(std::string_view name) const {
    if (auto it = variables_.find(name); it != variables_.end()) return &it->second;
    if (auto it = services_.find(name); it != services_.end()) return &it->second;
    return nullptr;
  }

  const core_v1::Pod& pod_;
  const core_v1::Container& container_;
  const Variables& services_;
  const ObjectSet& objects_;
  const DownwardContext& context_;
  Variables variables_;
  std::vector<std::string> order_;
};

}  // namespace

Result<Environment> make_environment(const core_v1::Pod& pod, const core_v1::Container& container, const Variables& services,
                                     const ObjectSet& objects, const DownwardContext& context) {
  return EnvironmentBuilder(pod, container, services, objects, context).run();
}

std::vector<ObjectReference> environment_references(const core_v1::Container& container) {
  std::vector<ObjectReference> out;
  // An object is optional only if every reference to it is: make_environment() tells the others apart.
  for (const auto source : container.envFrom()) {
    if (const auto map = source.configMapRef()) out.push_back({ObjectKind::config_map, std::string(map.name()), true});
    if (const auto secret = source.secretRef()) out.push_back({ObjectKind::secret, std::string(secret.name()), true});
  }
  for (const auto variable : container.env()) {
    const auto source = variable.valueFrom();
    if (const auto map = source.configMapKeyRef()) out.push_back({ObjectKind::config_map, std::string(map.name()), true});
    if (const auto secret = source.secretKeyRef()) out.push_back({ObjectKind::secret, std::string(secret.name()), true});
  }
  return out;
}

}  // namespace rusternetes::kubelet
