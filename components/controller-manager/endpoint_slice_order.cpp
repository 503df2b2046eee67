#include "controller-manager/endpoint_slice_order.h"

#include <algorithm>

namespace rusternetes::controller_manager {

using namespace apimachinery;

namespace {

class Text {
 public:
  Text& add(std::string_view text) {
    out_ += text;
    return *this;
  }
  Text& pointer(bool is_set, std::string_view text) { return add(is_set ? text : "<nil>"); }
  Text& number(std::int64_t number) { return add(std::to_string(number)); }

  void fields(const core_v1::EndpointPort& port) {
    add("{Name:(string)").add(port.name()).add(" Port:(int32)").number(port.port());
    add(" Protocol:(v1.Protocol)").add(port.protocol());
    add(" AppProtocol:(*string)").pointer(port.has_appProtocol(), port.appProtocol()).add("}");
  }
  void fields(const core_v1::ObjectReference& to) {
    add("{Kind:(string)").add(to.kind()).add(" Namespace:(string)").add(to.namespace_());
    add(" Name:(string)").add(to.name()).add(" UID:(types.UID)").add(to.uid());
    add(" APIVersion:(string)")
        .add(to.apiVersion())
        .add(" ResourceVersion:(string)")
        .add(to.resourceVersion());
    add(" FieldPath:(string)").add(to.fieldPath()).add("}");
  }
  void fields(const core_v1::EndpointAddress& address) {
    add("{IP:(string)").add(address.ip()).add(" Hostname:(string)").add(address.hostname());
    add(" NodeName:(*string)").pointer(address.has_nodeName(), address.nodeName());
    add(" TargetRef:(*v1.ObjectReference)");
    if (address.has_targetRef())
      fields(address.targetRef());
    else
      add("<nil>");
    add("}");
  }
  template <class T>
  void list(std::string_view type, const ListView<T>& items) {
    add("(").add(type).add(")");
    if (items.empty()) {
      add("<nil>");
      return;
    }
    std::string_view before = "[";
    for (const auto item : items) {
      add(before);
      fields(item);
      before = " ";
    }
    add("]");
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace

OrderHash fnv1a_128(std::string_view text) {
  const OrderHash prime = (OrderHash{1} << 88) + 0x13B;
  OrderHash hash = (OrderHash{0x6c62272e07bb0142} << 64) | 0x62b821756295c58d;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * prime;
  return hash;
}

std::string order_text(const discovery_v1::EndpointPort& port) {
  Text text;
  text.add("(v1.EndpointPort){Name:(*string)").pointer(port.has_name(), port.name());
  text.add(" Protocol:(*v1.Protocol)").pointer(port.has_protocol(), port.protocol());
  text.add(" Port:(*int32)").pointer(port.has_port(), std::to_string(port.port()));
  text.add(" AppProtocol:(*string)").pointer(port.has_appProtocol(), port.appProtocol()).add("}");
  return text.take();
}

std::string order_text(const core_v1::EndpointPort& port) {
  Text text;
  text.add("(v1.EndpointPort)").fields(port);
  return text.take();
}

std::string order_text(const core_v1::EndpointSubset& subset) {
  Text text;
  text.add("(v1.EndpointSubset){Addresses:").list("[]v1.EndpointAddress", subset.addresses());
  text.add(" NotReadyAddresses:").list("[]v1.EndpointAddress", subset.notReadyAddresses());
  text.add(" Ports:").list("[]v1.EndpointPort", subset.ports());
  text.add("}");
  return text.take();
}

template <class T>
void sort_by_hash(std::vector<Value>& values) {
  if (values.size() < 2) return;
  std::vector<std::pair<OrderHash, Value>> hashed;
  hashed.reserve(values.size());
  for (const Value& value : values) hashed.emplace_back(fnv1a_128(order_text(T(&value))), value);
  std::stable_sort(hashed.begin(), hashed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = hashed[i].second;
}
template void sort_by_hash<discovery_v1::EndpointPort>(std::vector<Value>&);
template void sort_by_hash<core_v1::EndpointPort>(std::vector<Value>&);
template void sort_by_hash<core_v1::EndpointSubset>(std::vector<Value>&);

}  // namespace rusternetes::controller_manager
