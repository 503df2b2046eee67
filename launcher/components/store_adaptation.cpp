#include "launcher/components/store_adaptation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/cidr.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "apimachinery/registry.h"
#include "apimachinery/uid.h"
#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

using namespace apimachinery;
using meta_v1::ObjectMeta;

constexpr std::string_view pods = "/registry/pods/", services = "/registry/services/specs/",
                           endpoints = "/registry/services/endpoints/", slices = "/registry/endpointslices/",
                           nodes = "/registry/minions/", address_objects = "/registry/ipaddresses/",
                           config_maps = "/registry/configmaps/";

constexpr std::array<AdaptedPrefix, 17> prefixes{{
    {pods},
    {services},
    {endpoints},
    {slices},
    {nodes},
    {address_objects},
    {config_maps, true},
    {"/registry/servicecidrs/", true},
    {"/registry/ranges/serviceips", true},
    {"/registry/masterleases/", true},
    {"/registry/leases/", true},
    {"/registry/events/", true},
    {"/registry/csinodes/", true},
    {"/registry/volumeattachments/", true},
    {"/registry/certificatesigningrequests/", true},
    {"/registry/resourceslices/", true},
    {"/registry/peerserverleases/", true},
}};

// Written by controllers of the cluster, or by the cluster's own processes.
constexpr std::array<std::string_view, 3> slice_managers{
    "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io", "rusternetes"};
constexpr std::array<std::string_view, 2> own_services{"default/kubernetes", "kube-system/kube-dns"};

bool is_own_service(std::string_view name) {
  return std::find(own_services.begin(), own_services.end(), name) != own_services.end();
}

// An object in the version and the encoding that it is stored in, so that it goes back as it came.
struct Opened {
  const Kind* kind = nullptr;
  std::string api_version;
  bool is_json = false;
  Value value;
};

Result<Opened> open(Arena& arena, const StoredObject& object, const Registry& registry) {
  const auto damaged = [&](std::string_view why) {
    return failure("StoreDamaged",
                   fmt::format("the snapshot's object {} cannot be read: {}", object.key, why));
  };
  const std::string_view bytes = *object.value;
  Opened out;
  std::string kind;
  if (has_protobuf_prefix(bytes)) {
    const auto envelope = open_protobuf_envelope(bytes);
    if (!envelope) return damaged(envelope.error().message);
    out.api_version = envelope->api_version;
    kind = envelope->kind;
    out.kind = registry.find_kind(out.api_version, kind);
    if (out.kind == nullptr) return damaged(fmt::format("there is no {} in {}", kind, out.api_version));
    auto value = decode_protobuf(arena, envelope->raw, *out.kind->type);
    if (!value) return damaged(value.error().message);
    out.value = *value;
    return out;
  }
  const auto any = decode_json_any(arena, bytes);
  if (!any || any->kind != ValueKind::map) return damaged("it is neither protobuf nor a JSON object");
  const Value *version = any->lookup("apiVersion"), *name = any->lookup("kind");
  out.api_version = version != nullptr ? version->str() : std::string_view();
  kind = name != nullptr ? name->str() : std::string_view();
  out.kind = registry.find_kind(out.api_version, kind);
  if (out.kind == nullptr) return damaged(fmt::format("there is no {} in {}", kind, out.api_version));
  out.is_json = true;
  auto value = decode_json(arena, bytes, *out.kind->type);
  if (!value) return damaged(value.error().message);
  out.value = *value;
  return out;
}

std::shared_ptr<const std::string> close(const Opened& object) {
  auto out = std::make_shared<std::string>();
  if (object.is_json) {
    encode_json(*out, &object.value, *object.kind->type, {object.api_version, object.kind->kind, true});
    *out += '\n';
    return out;
  }
  std::string body;
  encode_protobuf(body, &object.value, *object.kind->type);
  *out = protobuf_envelope_head(object.api_version, object.kind->kind, body.size());
  *out += body;
  *out += protobuf_envelope_tail();
  return out;
}

const Value* metadata_of(const Opened& object) {
  const int at = object.kind->type->find("metadata");
  return at < 0 ? nullptr : object.value.get(at);
}
Value& metadata_of(Arena& arena, Opened& object) {
  return ensure(arena, object.value, object.kind->type->find("metadata"));
}

std::string_view text_of(const Value* value) { return value == nullptr ? std::string_view() : value->str(); }

// Addresses of Services, before and after.
class Addresses {
 public:
  static Result<Addresses> make(const Adaptation& adaptation) {
    Addresses out;
    for (const std::string& text : adaptation.service_cidrs_before) {
      RN_TRY(const Cidr range, Cidr::parse(text));
      out.before_.push_back(range.masked());
    }
    for (const std::string& text : adaptation.service_cidrs) {
      RN_TRY(const Cidr range, Cidr::parse(text));
      out.after_.push_back({range.masked(), {}});
      // The range's ends, and what the Services kubernetes and kube-dns will have.
      const std::uint64_t size = range.size();
      for (const std::uint64_t index :
           {std::uint64_t(0), std::uint64_t(1), std::min<std::uint64_t>(10, size - 2), size - 1})
        out.after_.back().taken.insert(index);
    }
    return out;
  }

  // Those that have the same place in the new range first, so that none of these loses it.
  void keep_place(std::string_view text) {
    const auto address = IpAddress::parse(text);
    if (!address || moved_.contains(std::string(text))) return;
    for (const Cidr& range : before_) {
      const auto index = range.index_of(*address);
      Pool* pool = pool_of(*address);
      if (!index || pool == nullptr || *index >= pool->range.size() || !pool->taken.insert(*index).second)
        continue;
      moved_.emplace(text, pool->range.at(*index).to_string());
      return;
    }
  }

  Result<std::string> moved(std::string_view text) {
    if (const auto found = moved_.find(text); found != moved_.end()) return found->second;
    RN_TRY(const IpAddress address, IpAddress::parse(text));
    Pool* pool = pool_of(address);
    if (pool == nullptr)
      return failure("NotSupported",
                     fmt::format("a Service has the address {}, and the new cluster's Services have "
                                 "none of its family: give it one family there first",
                                 text));
    for (std::uint64_t index = pool->next; index < pool->range.size(); ++index) {
      if (!pool->taken.insert(index).second) continue;
      pool->next = index + 1;
      return moved_.emplace(text, pool->range.at(index).to_string()).first->second;
    }
    return failure("PoolExhausted",
                   fmt::format("the new cluster's Services have no room for {}: name a larger range by "
                               "--service-cidr",
                               text));
  }

  const std::string* find(std::string_view text) const {
    const auto found = moved_.find(text);
    return found == moved_.end() ? nullptr : &found->second;
  }

 private:
  struct Pool {
    Cidr range;
    std::set<std::uint64_t> taken;
    std::uint64_t next = 0;
  };
  Pool* pool_of(const IpAddress& address) {
    for (Pool& pool : after_)
      if (pool.range.is_v4() == address.is_v4()) return &pool;
    return nullptr;
  }
  std::vector<Cidr> before_;
  std::vector<Pool> after_;
  std::map<std::string, std::string, std::less<>> moved_;
};

bool is_address(std::string_view text) { return !text.empty() && text != "None"; }

class Adapter {
 public:
  Adapter(const std::vector<StoredObject>& objects, Addresses addresses)
      : objects_(objects), addresses_(std::move(addresses)) {}

  Result<StoreChanges> run() {
    RN_CHECK(place_services());
    for (const StoredObject& object : objects_) {
      const std::string_view key = object.key;
      if (key.starts_with(pods))
        RN_CHECK(adapt_pod(object));
      else if (key.starts_with(services))
        RN_CHECK(adapt_service(object));
      else if (key.starts_with(endpoints))
        adapt_endpoints(object);
      else if (key.starts_with(slices))
        RN_CHECK(adapt_slice(object));
      else if (key.starts_with(nodes))
        RN_CHECK(adapt_node(object));
      else if (key.starts_with(config_maps))
        adapt_config_map(object);
      else if (!key.starts_with(address_objects))
        remove(object);
    }
    RN_CHECK(move_addresses());
    return std::move(changes_);
  }

 private:
  void remove(const StoredObject& object) { changes_.removals.push_back(object.key); }
  void put(const StoredObject& object, const Opened& opened) {
    changes_.puts.push_back({object.key, close(opened)});
  }

  template <class Visit>
  Result<> each_address(const Visit& visit) {
    for (const StoredObject& object : objects_) {
      const std::string_view key = object.key;
      if (!key.starts_with(services) || is_own_service(key.substr(services.size()))) continue;
      Arena arena;
      RN_TRY(const Opened opened, open(arena, object, *registry_));
      const Value* spec = opened.value.get(core_v1::Service::f_spec);
      if (spec == nullptr) continue;
      if (spec->get(core_v1::ServiceSpec::f_selector) != nullptr)
        selecting_.insert(std::string(key.substr(services.size())));
      if (const auto one = text_of(spec->get(core_v1::ServiceSpec::f_clusterIP)); is_address(one))
        RN_CHECK(visit(one));
      if (const Value* list = spec->get(core_v1::ServiceSpec::f_clusterIPs))
        for (const Value& each : list->children())
          if (is_address(each.str())) RN_CHECK(visit(each.str()));
    }
    return {};
  }

  Result<> place_services() {
    RN_CHECK(each_address([&](std::string_view text) -> Result<> {
      addresses_.keep_place(text);
      return {};
    }));
    return each_address([&](std::string_view text) -> Result<> {
      RN_TRY([[maybe_unused]] const std::string moved, addresses_.moved(text));
      return {};
    });
  }

  Result<> adapt_service(const StoredObject& object) {
    if (is_own_service(std::string_view(object.key).substr(services.size()))) {
      remove(object);
      return {};
    }
    Arena arena;
    RN_TRY(Opened opened, open(arena, object, *registry_));
    bool is_changed = false;
    const auto move = [&](Value& place) -> Result<> {
      if (!is_address(place.str())) return {};
      RN_TRY(const std::string now, addresses_.moved(place.str()));
      is_changed = is_changed || now != place.str();
      assign(place, Value::of_text(arena.copy(now)));
      return {};
    };
    if (Value* spec = opened.value.get(core_v1::Service::f_spec)) {
      if (Value* one = spec->get(core_v1::ServiceSpec::f_clusterIP)) RN_CHECK(move(*one));
      if (Value* list = spec->get(core_v1::ServiceSpec::f_clusterIPs))
        for (Value& each : list->children()) RN_CHECK(move(each));
    }
    // Where the load balancer of before stood.
    if (Value* status = opened.value.get(core_v1::Service::f_status))
      if (status->get(core_v1::ServiceStatus::f_loadBalancer) != nullptr) {
        erase_field(*status, core_v1::ServiceStatus::f_loadBalancer);
        is_changed = true;
      }
    if (is_changed) put(object, opened);
    return {};
  }

  // Users write those of Services without a selector.
  void adapt_endpoints(const StoredObject& object) {
    const std::string name = object.key.substr(endpoints.size());
    if (is_own_service(name) || selecting_.contains(name)) remove(object);
  }

  Result<> adapt_slice(const StoredObject& object) {
    Arena arena;
    RN_TRY(const Opened opened, open(arena, object, *registry_));
    const Value* labels = descend(metadata_of(opened), ObjectMeta::f_labels);
    const Value* manager =
        labels == nullptr ? nullptr : labels->lookup("endpointslice.kubernetes.io/managed-by");
    const Value* service = labels == nullptr ? nullptr : labels->lookup("kubernetes.io/service-name");
    const std::string_view of = text_of(manager);
    const bool is_known = std::find(slice_managers.begin(), slice_managers.end(), of) != slice_managers.end();
    const std::string_view rest = std::string_view(object.key).substr(slices.size());
    const std::string owner = fmt::format("{}/{}", rest.substr(0, rest.find('/')), text_of(service));
    if (is_known || is_own_service(owner)) remove(object);
    return {};
  }

  Result<> adapt_pod(const StoredObject& object) {
    Arena arena;
    RN_TRY(Opened opened, open(arena, object, *registry_));
    Value& metadata = metadata_of(arena, opened);
    const Value* status = opened.value.get(core_v1::Pod::f_status);
    const std::string phase(text_of(descend(status, core_v1::PodStatus::f_phase)));
    if (is_made_again(metadata) || phase == "Succeeded" || phase == "Failed") {
      remove(object);
      return {};
    }
    const std::string quality(text_of(descend(status, core_v1::PodStatus::f_qosClass)));
    set_string(arena, metadata, ObjectMeta::f_uid, new_uid());
    if (Value* spec = opened.value.get(core_v1::Pod::f_spec)) {
      erase_field(*spec, core_v1::PodSpec::f_nodeName);
      erase_field(*spec, core_v1::PodSpec::f_ephemeralContainers);
    }
    erase_field(opened.value, core_v1::Pod::f_status);
    Value& fresh = ensure(arena, opened.value, core_v1::Pod::f_status);
    set_string(arena, fresh, core_v1::PodStatus::f_phase, "Pending");
    if (!quality.empty()) set_string(arena, fresh, core_v1::PodStatus::f_qosClass, quality);
    put(object, opened);
    return {};
  }

  // By a controller, by a kubelet from its files; or nobody wants it any more.
  static bool is_made_again(const Value& metadata) {
    if (metadata.get(ObjectMeta::f_deletionTimestamp) != nullptr) return true;
    const Value* annotations = metadata.get(ObjectMeta::f_annotations);
    if (annotations != nullptr && annotations->lookup("kubernetes.io/config.mirror") != nullptr) return true;
    const Value* owners = metadata.get(ObjectMeta::f_ownerReferences);
    if (owners == nullptr) return false;
    return std::any_of(owners->children().begin(), owners->children().end(), [](const Value& owner) {
      const Value* is_controller = owner.get(meta_v1::OwnerReference::f_controller);
      return is_controller != nullptr && is_controller->boolean;
    });
  }

  // Labels, annotations and the taints of people's own stay.
  Result<> adapt_node(const StoredObject& object) {
    Arena arena;
    RN_TRY(Opened opened, open(arena, object, *registry_));
    if (Value* spec = opened.value.get(core_v1::Node::f_spec)) {
      erase_field(*spec, core_v1::NodeSpec::f_podCIDR);
      erase_field(*spec, core_v1::NodeSpec::f_podCIDRs);
      erase_field(*spec, core_v1::NodeSpec::f_providerID);
      if (Value* taints = spec->get(core_v1::NodeSpec::f_taints))
        for (std::size_t at = taints->size; at-- > 0;)
          if (text_of(taints->children()[at].get(core_v1::Taint::f_key)).starts_with("node.kubernetes.io/"))
            erase_item(*taints, at);
    }
    erase_field(opened.value, core_v1::Node::f_status);
    put(object, opened);
    return {};
  }

  // Its authority is another one.
  void adapt_config_map(const StoredObject& object) {
    if (object.key.ends_with("/kube-root-ca.crt")) remove(object);
  }

  // An IPAddress is named by what it is of.
  Result<> move_addresses() {
    std::set<std::string> put_keys;
    std::vector<const StoredObject*> before;
    for (const StoredObject& object : objects_) {
      if (!object.key.starts_with(address_objects)) continue;
      const std::string* now = addresses_.find(std::string_view(object.key).substr(address_objects.size()));
      before.push_back(&object);
      if (now == nullptr) continue;
      const std::string key = std::string(address_objects) + *now;
      put_keys.insert(key);
      if (key == object.key) continue;
      Arena arena;
      RN_TRY(Opened opened, open(arena, object, *registry_));
      set_string(arena, metadata_of(arena, opened), ObjectMeta::f_name, *now);
      changes_.puts.push_back({key, close(opened)});
    }
    for (const StoredObject* object : before)
      if (!put_keys.contains(object->key)) remove(*object);
    return {};
  }

  const std::vector<StoredObject>& objects_;
  Addresses addresses_;
  std::shared_ptr<const Registry> registry_ = Registry::builtin();
  std::set<std::string> selecting_;  // Services whose endpoints a controller writes
  StoreChanges changes_;
};

}  // namespace

std::span<const AdaptedPrefix> adapted_prefixes() { return prefixes; }

Result<StoreChanges> adapt_objects(const std::vector<StoredObject>& objects, const Adaptation& adaptation) {
  RN_TRY(Addresses addresses, Addresses::make(adaptation));
  return Adapter(objects, std::move(addresses)).run();
}

}  // namespace rusternetes::launcher
