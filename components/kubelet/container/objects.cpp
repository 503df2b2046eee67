#include "kubelet/container/objects.h"

#include "apimachinery/errors.h"

namespace rusternetes::kubelet {

using client::Resource;

const Document* ObjectSet::find(ObjectKind kind, std::string_view name) const {
  auto it = objects_.find(std::pair<ObjectKind, std::string>(kind, name));
  return it == objects_.end() ? nullptr : &it->second;
}

Status object_not_found(ObjectKind kind, std::string_view name) {
  return apimachinery::not_found({"", kind == ObjectKind::secret ? "secret" : "configmap"}, name);
}

Task<Result<Document>> Objects::get(ObjectKind kind, std::string name_space, std::string name) {
  const auto key = std::tuple(kind, name_space, name);
  const auto now = clock_.steady_now();
  if (auto it = entries_.find(key); it != entries_.end() && now - it->second.at < kept_) co_return it->second.object;
  const Resource resource{"", "v1", kind == ObjectKind::secret ? "secrets" : "configmaps"};
  auto object = co_await client_.get(resource, name_space, name);
  if (!object && !object.error().is("NotFound")) co_return object.error();
  Document found = object ? *object : Document{};
  if (found) entries_[key] = Entry{found, now};  // what is absent may be made any moment
  co_return found;
}

Task<Result<ObjectSet>> Objects::load(std::string name_space, std::vector<ObjectReference> references) {
  ObjectSet out;
  for (const auto& reference : references) {
    if (out.find(reference.kind, reference.name)) continue;
    auto object = co_await get(reference.kind, name_space, reference.name);
    if (!object) co_return object.error();
    if (*object)
      out.add(reference.kind, reference.name, *object);
    else if (!reference.is_optional)
      co_return object_not_found(reference.kind, reference.name);
  }
  co_return out;
}

void Objects::collect() {
  const auto now = clock_.steady_now();
  std::erase_if(entries_, [&](const auto& entry) { return now - entry.second.at >= kept_; });
}

}  // namespace rusternetes::kubelet
