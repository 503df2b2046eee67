#pragma once
// What a kind does that the schema cannot say: defaults, preparation, validation, what is immutable. One file a kind; a
// kind without one is served from its schema and Strategy's own behaviour. Strategies are pure: no I/O, no clock of their
// own, no state; a change they make is made in the request's arena.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/request_context.h"
#include "apimachinery/field_error.h"
#include "apimachinery/field_set.h"
#include "apimachinery/schema.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::api_server {

class Companions;

struct StrategyContext {
  const apimachinery::Kind& kind;  // the version at hand; its type describes the values
  apimachinery::Arena& arena;
  std::int64_t now_us = 0;
  std::string_view name_space, name;
  const User* user = nullptr;
  Warnings* warnings = nullptr;
  std::string_view subresource = {};  // of an update: "", "status", "ephemeralcontainers", "resize", ...
  bool allow_privileged = true;       // --allow-privileged
};

// How long objects live that end by themselves, as flags say. Zero: for ever.
struct Lifetimes {
  std::chrono::seconds events{3600};  // --event-ttl
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  // How long an object lives after its last write; zero, which is what all kinds but few have: until it is deleted.
  virtual std::chrono::seconds ttl(const Lifetimes&) const { return {}; }

  // Defaults of this version, on every decoded object: requests, and what is read from disk. Idempotent.
  virtual void set_defaults(const apimachinery::Kind& kind, apimachinery::Arena& arena,
                            apimachinery::Value& object) const;

  // Before validation. For updates `context.subresource` says which part is meant when it is neither the whole object nor
  // its status. The base clears `status` on create, keeps the old `status` on update (when the kind has a status
  // subresource), and keeps the old everything-but-status (and metadata that status may not change) on update of status;
  // `metadata.generation` is 1 at creation and rises when anything outside metadata and status changes, for kinds with
  // generation.
  virtual void prepare_for_create(const StrategyContext& context, apimachinery::Value& object) const;
  virtual void prepare_for_update(const StrategyContext& context, apimachinery::Value& object,
                                  const apimachinery::Value& old) const;
  virtual void prepare_for_status_update(const StrategyContext& context, apimachinery::Value& object,
                                         const apimachinery::Value& old) const;

  // Metadata common to all kinds (names, labels, annotations, ownerReferences, finalizers, immutable fields) is checked by
  // the pipeline (validation/object_meta.h) before these; name_problems() is the kind's rule for names.
  virtual std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const;
  // metadata.name for metadata.generateName.
  virtual std::string generated_name(std::string_view base) const;
  virtual void validate(const StrategyContext& context, const apimachinery::Value& object,
                        apimachinery::FieldErrorList& errors) const;
  virtual void validate_update(const StrategyContext& context, const apimachinery::Value& object,
                               const apimachinery::Value& old, apimachinery::FieldErrorList& errors) const;
  virtual void validate_status_update(const StrategyContext& context, const apimachinery::Value& object,
                                      const apimachinery::Value& old, apimachinery::FieldErrorList& errors) const;

  // What this endpoint ("" is the whole object) does not change whatever the client sends, so that nobody owns it by such
  // a request: for update_managed_fields(). The base: status, and for "status" the spec.
  virtual apimachinery::FieldSet reset_fields(apimachinery::Arena& arena, const apimachinery::Kind& kind,
                                              std::string_view subresource) const;
  // Finalizers must be qualified or one of Kubernetes' own: so for all kinds but a few.
  virtual bool requires_qualified_finalizers() const { return true; }

  // What the object claims of pools that all share, and gives back: written in the object's own transaction. After
  // preparation, before validation (as BeginCreate and BeginUpdate of the registry are); `object` becomes complete. Null `old`: it is created; null `object`: it goes. The one member that reads
  // anything but its arguments.
  virtual bool has_claims() const { return false; }
  // Keys of the store beside the caches that claim() reads.
  virtual std::vector<std::string> claimed_keys() const { return {}; }
  virtual Result<void> claim(const StrategyContext& context, Companions& companions, apimachinery::Value* object,
                             const apimachinery::Value* old) const;

  // Whether PUT of an absent name creates the object (Kubernetes: false for most, true for a few such as leases,
  // events, endpoints, services, limitranges, nodes=false...).
  virtual bool allows_create_on_update() const { return false; }
  // Whether an update without resourceVersion is allowed (Kubernetes: AllowUnconditionalUpdate).
  virtual bool allows_unconditional_update() const { return true; }
  virtual bool has_generation() const { return false; }
  // Seconds of graceful deletion for this object, given what the request asks for; 0: deleted at once.
  virtual std::int64_t grace_period(const apimachinery::Value& object, std::optional<std::int64_t> requested) const;
  // A deletion passes through metadata.deletionTimestamp even when it is immediate (Pods).
  virtual bool deletes_gracefully() const { return false; }
  // DELETE answers with the object that was removed rather than with a Status.
  virtual bool returns_deleted_object() const { return false; }
  // What a field selector may name beyond metadata.name and metadata.namespace, and the value there.
  virtual std::vector<std::string_view> selectable_fields() const { return {}; }
  virtual std::string selectable_field(const apimachinery::Value& object, std::string_view field) const;

 protected:
  // Pieces of the base's preparation, for kinds that do part of it.
  static void clear_status(const StrategyContext& context, apimachinery::Value& object);
  static void keep_status(const StrategyContext& context, apimachinery::Value& object, const apimachinery::Value& old);
  static void set_generation(const StrategyContext& context, apimachinery::Value& object, std::int64_t generation);
  // One more than `old` has if anything but metadata and status differs.
  static void raise_generation(const StrategyContext& context, apimachinery::Value& object,
                               const apimachinery::Value& old);
  // All but status and metadata becomes what it was.
  static void keep_all_but_status(const StrategyContext& context, apimachinery::Value& object,
                                  const apimachinery::Value& old);
  // What most subresources may not change of metadata (metav1.ResetObjectMetaForStatus).
  static void keep_metadata(const StrategyContext& context, apimachinery::Value& object,
                            const apimachinery::Value& old);
};

// The strategy of ("apps", "deployments"); the plain one where the kind has none of its own. Lives for ever.
const Strategy& strategy_for(std::string_view group, std::string_view resource);

}  // namespace rusternetes::api_server
