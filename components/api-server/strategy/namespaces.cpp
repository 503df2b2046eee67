// Namespaces (pkg/registry/core/namespace).

#include "api-server/strategy.h"
#include "api-server/strategy/checks.h"
#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Namespace;
using core_v1::NamespaceSpec;
using core_v1::NamespaceStatus;
using meta_v1::ObjectMeta;

namespace {

constexpr std::string_view name_label = "kubernetes.io/metadata.name";

// The name is a label, too, so that selectors find it (KEP 2161).
void set_name_label(Arena& arena, Value& object) {
  const Namespace view(&object);
  if (view.metadata().name().empty() || view.metadata().labels().get(name_label) == view.metadata().name()) return;
  const std::string_view name = view.metadata().name();
  Value& labels = ensure(arena, ensure(arena, object, Namespace::f_metadata), ObjectMeta::f_labels, ValueKind::map);
  assign(set_key(arena, labels, name_label), Value::of_text(name));
}

void check_finalizers(const Namespace& object, bool by_index, FieldErrorList& errors) {
  const FieldPath spec("spec"), list = spec.child("finalizers");
  std::int64_t i = 0;
  for (const auto finalizer : object.spec().finalizers()) {
    const FieldPath at = by_index ? list.index(i++) : list;
    errors.push_invalid(at, finalizer, is_qualified_name(finalizer));
    if (finalizer.find('/') == std::string_view::npos && !is_any_of(finalizer, {"kubernetes", "orphan", "foregroundDeletion"}))
      errors.push_back(field::invalid(at, finalizer, "name is neither a standard finalizer name nor is it fully qualified"));
  }
}

class NamespaceStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    set_name_label(arena, object);
    default_text(arena, ensure(arena, object, Namespace::f_status), NamespaceStatus::f_phase, "Active");
  }

  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    Arena& arena = context.arena;
    erase_field(object, Namespace::f_status);
    default_text(arena, ensure(arena, object, Namespace::f_status), NamespaceStatus::f_phase, "Active");
    set_name_label(arena, object);  // of a generated name
    Value& finalizers = ensure(arena, ensure(arena, object, Namespace::f_spec), NamespaceSpec::f_finalizers, ValueKind::list);
    for (const Value& one : finalizers.children())
      if (one.str() == "kubernetes") return;
    append_string(arena, finalizers, "kubernetes");
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    take_field(context.arena, object, old, Namespace::f_status);
    if (context.subresource == "finalize") return;
    take_field(context.arena, object, old, Namespace::f_spec);  // it holds only finalizers
  }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    check_finalizers(Namespace(&object), false, errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value&, FieldErrorList& errors) const override {
    check_finalizers(Namespace(&object), context.subresource == "finalize", errors);
  }
  void validate_status_update(const StrategyContext&, const Value& object, const Value&, FieldErrorList& errors) const override {
    const Namespace view(&object);
    const std::string_view phase = view.status().phase();
    const FieldPath status("status"), path = status.child("Phase");
    if (!view.metadata().has_deletionTimestamp()) {
      if (phase != "Active") errors.push_back(field::invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty"));
    } else if (phase != "Terminating") {
      errors.push_back(field::invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"));
    }
  }

  std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const override {
    return is_dns1123_label(is_prefix ? mask_trailing_dash(name) : std::string(name));
  }
  bool returns_deleted_object() const override { return true; }
  // "name" is an old mistake that clients may rely on; the version knows status.phase only.
  std::vector<std::string_view> selectable_fields() const override { return {"status.phase"}; }
  std::string selectable_field(const Value& object, std::string_view) const override {
    return std::string(Namespace(&object).status().phase());
  }
};

}  // namespace

const Strategy& namespaces_strategy() {
  static const NamespaceStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
