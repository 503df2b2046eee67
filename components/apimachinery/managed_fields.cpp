#include "apimachinery/managed_fields.h"

#include <algorithm>
#include <tuple>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/field_compare.h"
#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

using Entry = meta_v1::ManagedFieldsEntry;
using ObjectMeta = meta_v1::ObjectMeta;

constexpr std::size_t max_update_managers = 10;
constexpr std::string_view ancient_changes = "ancient-changes";
constexpr std::size_t max_manager_bytes = 128;

// The metadata of a kind that has an ObjectMeta, or -1.
int metadata_field(const Type& type) {
  const int index = type.find("metadata");
  return index >= 0 && type.fields[static_cast<std::size_t>(index)].type == &ObjectMeta::schema_type() ? index
                                                                                                       : -1;
}

// Whole seconds, rounded down; entries without a time count as oldest.
std::int64_t seconds(const ManagerEntry& entry) {
  const std::int64_t us = entry.time_us.value_or(0);
  return us / 1'000'000 - (us % 1'000'000 < 0);
}

// A client that clears the field sends [] or [{}].
bool is_reset(const Value* list) {
  if (!list || list->kind != ValueKind::list) return false;
  return list->size == 0 || (list->size == 1 && list->items[0].children().empty());
}

// The children of a structure may be shared with the stored object, which must not change.
void own_cells(Arena& arena, Value& structure) {
  if (structure.kind != ValueKind::structure || structure.size == 0) return;
  auto* cells = static_cast<Value*>(arena.allocate(structure.size * sizeof(Value)));
  std::copy_n(structure.items, structure.size, cells);
  structure.items = cells;
  structure.growable = 0;
}

// What no manager is recorded for.
const FieldSet& never_owned() {
  static Arena arena;
  static const FieldSet set = field_set_of(arena, {{"apiVersion"},
                                                   {"kind"},
                                                   {"metadata"},
                                                   {"metadata", "name"},
                                                   {"metadata", "namespace"},
                                                   {"metadata", "creationTimestamp"},
                                                   {"metadata", "selfLink"},
                                                   {"metadata", "uid"},
                                                   {"metadata", "clusterName"},
                                                   {"metadata", "generation"},
                                                   {"metadata", "managedFields"},
                                                   {"metadata", "resourceVersion"}});
  return set;
}

std::vector<ManagerEntry> decode_or_nothing(Arena& arena, const Value* metadata) {
  if (!metadata) return {};
  auto entries = decode_managed_fields(arena, *metadata);
  return entries ? std::move(*entries) : std::vector<ManagerEntry>{};
}

// The entries to go on from.
std::vector<ManagerEntry> present_entries(Arena& arena, const Value* new_meta, const Value* old_meta,
                                          bool is_subresource) {
  if (is_subresource) return decode_or_nothing(arena, old_meta);
  if (new_meta && is_reset(new_meta->get(ObjectMeta::f_managedFields))) return {};
  auto entries = decode_or_nothing(arena, new_meta);
  return entries.empty() ? decode_or_nothing(arena, old_meta) : std::move(entries);
}

class Updater {
 public:
  Updater(Arena& arena, const Kind& kind, const Value& new_object, const Value* old_object,
          const ManagedFieldsRequest& request)
      : arena_(arena),
        kind_(kind),
        new_(new_object),
        old_(old_object),
        request_(request),
        api_version_(arena.copy(kind.group_version.text())) {}

  Result<std::vector<ManagerEntry>> update(std::vector<ManagerEntry> entries) {
    RN_TRY(const FieldComparison changes, compare(*kind_.type, old_, new_));
    RN_CHECK(take_from_others(entries, changes));
    FieldSet mine = unite(arena_, changes.modified, changes.added);
    if (request_.reset_fields) mine = subtract_recursive(arena_, mine, *request_.reset_fields);
    mine = subtract(arena_, mine, never_owned());
    if (!mine.empty()) record(entries, mine);
    cap(entries);
    return entries;
  }

 private:
  struct Version {
    std::string_view api_version;
    const Type* type;  // null: no such version
    FieldComparison changes;
  };

  Result<FieldComparison> compare(const Type& type, const Value* before, const Value& after) {
    RN_TRY(FieldComparison changes, compare_fields(arena_, type, before, after));
    if (request_.reset_fields) {
      changes.added = subtract_recursive(arena_, changes.added, *request_.reset_fields);
      changes.modified = subtract_recursive(arena_, changes.modified, *request_.reset_fields);
      changes.removed = subtract_recursive(arena_, changes.removed, *request_.reset_fields);
    }
    return changes;
  }

  Result<const Version*> version(std::string_view api_version, const FieldComparison& own) {
    for (const auto& known : versions_)
      if (known.api_version == api_version) return &known;
    if (versions_.capacity() == 0) versions_.reserve(max_versions);
    Version version{api_version, kind_.type, own};
    if (api_version != api_version_ && request_.convert) {
      const VersionedObject after = (*request_.convert)(arena_, new_, api_version);
      version.type = after.type;
      if (after.type) {
        std::optional<VersionedObject> before;
        if (old_) before = (*request_.convert)(arena_, *old_, api_version);
        RN_TRY(version.changes, compare(*after.type, before ? &before->value : nullptr, after.value));
      }
    }
    if (versions_.size() == max_versions) return internal_error("managedFields speaks of too many versions");
    versions_.push_back(version);
    return &versions_.back();
  }

  // Whoever changes a field owns it alone; what is gone nobody owns.
  Result<void> take_from_others(std::vector<ManagerEntry>& entries, const FieldComparison& own) {
    std::size_t kept = 0;
    for (auto& entry : entries) {
      RN_TRY(const Version* version, version(entry.api_version, own));
      if (!version->type) continue;
      const FieldComparison& changes = version->changes;
      FieldSet fields = reconcile_with_schema(arena_, entry.fields, *version->type);
      const FieldSet taken = intersect(arena_, fields, unite(arena_, changes.modified, changes.added));
      fields = subtract(arena_, subtract(arena_, fields, taken), changes.removed);
      if (fields.empty()) continue;
      entry.fields = fields;
      if (&entries[kept] != &entry) entries[kept] = std::move(entry);
      ++kept;
    }
    entries.resize(kept);
    return {};
  }

  void record(std::vector<ManagerEntry>& entries, const FieldSet& fields) {
    ManagerEntry mine;
    mine.manager = request_.manager.empty() ? std::string_view("unknown") : request_.manager;
    mine.api_version = api_version_;
    mine.subresource = request_.subresource;
    mine.time_us = request_.now_us - ((request_.now_us % 1'000'000) + 1'000'000) % 1'000'000;
    mine.fields = fields;
    for (auto& entry : entries) {
      if (!entry.is_same_manager(mine)) continue;
      mine.fields = unite(arena_, fields, entry.fields);
      entry = mine;
      return;
    }
    entries.push_back(mine);
  }

  // More than ten updaters: the oldest become one, for each version.
  void cap(std::vector<ManagerEntry>& entries) {
    auto updaters = static_cast<std::size_t>(
        std::count_if(entries.begin(), entries.end(), [](const ManagerEntry& e) { return !e.is_apply; }));
    if (updaters <= max_update_managers) return;
    // Kubernetes breaks ties by the JSON of an entry's manager, operation, apiVersion and subresource.
    std::sort(entries.begin(), entries.end(), [](const ManagerEntry& a, const ManagerEntry& b) {
      return std::tuple(a.is_apply, seconds(a), a.manager, a.api_version, a.subresource) <
             std::tuple(b.is_apply, seconds(b), b.manager, b.api_version, b.subresource);
    });
    std::vector<std::pair<std::string_view, ManagerEntry>> firsts;  // the oldest of each version
    auto find = [&entries](const ManagerEntry& wanted) {
      return std::find_if(entries.begin(), entries.end(),
                          [&](const ManagerEntry& e) { return e.is_same_manager(wanted); });
    };
    std::vector<ManagerEntry> oldest(entries.begin(),
                                     entries.begin() + static_cast<std::ptrdiff_t>(updaters));
    for (const auto& entry : oldest) {
      if (updaters <= max_update_managers) break;
      const auto first = std::find_if(firsts.begin(), firsts.end(),
                                      [&](const auto& known) { return known.first == entry.api_version; });
      if (first == firsts.end()) {
        firsts.emplace_back(entry.api_version, entry);
        continue;
      }
      ManagerEntry bucket;
      bucket.manager = ancient_changes;
      bucket.api_version = entry.api_version;
      if (bucket.is_same_manager(entry)) continue;
      auto at = find(bucket);
      if (at == entries.end()) {
        at = find(first->second);
        bucket.fields = at->fields;
        *at = bucket;
      }
      at->fields = unite(arena_, entry.fields, at->fields);
      at->time_us = entry.time_us;
      entries.erase(find(entry));
      --updaters;
    }
  }

  static constexpr std::size_t max_versions = 64;
  Arena& arena_;
  const Kind& kind_;
  const Value& new_;
  const Value* old_;
  const ManagedFieldsRequest& request_;
  std::string_view api_version_;
  std::vector<Version> versions_;
};

}  // namespace

bool ManagerEntry::is_same_manager(const ManagerEntry& other) const {
  return manager == other.manager && is_apply == other.is_apply && subresource == other.subresource &&
         (is_apply || api_version == other.api_version);
}

Result<std::vector<ManagerEntry>> decode_managed_fields(Arena& arena, const Value& metadata) {
  std::vector<ManagerEntry> entries;
  const ObjectMeta meta(&metadata);
  entries.reserve(meta.managedFields().size() + 1);
  for (const Entry sent : meta.managedFields()) {
    ManagerEntry entry;
    if (sent.operation() != "Apply" && sent.operation() != "Update")
      return bad_request("operation must be `Apply` or `Update`");
    entry.is_apply = sent.operation() == "Apply";
    if (sent.apiVersion().empty()) return bad_request("apiVersion must not be empty");
    if (sent.fieldsType() != "FieldsV1") return bad_request("fieldsType must be FieldsV1");
    entry.manager = sent.manager();
    entry.api_version = sent.apiVersion();
    entry.subresource = sent.subresource();
    if (sent.has_time()) entry.time_us = sent.time();
    if (const Value* raw = sent.value()->get(Entry::f_fieldsV1)) {
      RN_TRY(entry.fields, parse_fields_v1(arena, raw->str()));
    }
    const auto same = std::find_if(entries.begin(), entries.end(),
                                   [&](const ManagerEntry& known) { return known.is_same_manager(entry); });
    if (same == entries.end())
      entries.push_back(entry);
    else
      *same = entry;
  }
  return entries;
}

void encode_managed_fields(Arena& arena, Value& metadata, std::vector<ManagerEntry> entries) {
  if (entries.empty()) return erase_field(metadata, ObjectMeta::f_managedFields);
  std::sort(entries.begin(), entries.end(), [](const ManagerEntry& a, const ManagerEntry& b) {
    return std::tuple(!a.is_apply, seconds(a), a.manager, a.api_version, a.subresource) <
           std::tuple(!b.is_apply, seconds(b), b.manager, b.api_version, b.subresource);
  });
  Value list = Value::empty(ValueKind::list);
  std::string text;
  text.reserve(1024);
  for (const auto& entry : entries) {
    Value item = Value::empty(ValueKind::structure);
    auto put = [&](int field, std::string_view value) {
      if (!value.empty()) set_string(arena, item, field, value);
    };
    put(Entry::f_manager, entry.manager);
    put(Entry::f_operation, entry.is_apply ? "Apply" : "Update");
    put(Entry::f_apiVersion, entry.api_version);
    if (entry.time_us) assign(set_field(arena, item, Entry::f_time), Value::of_time(*entry.time_us));
    put(Entry::f_fieldsType, "FieldsV1");
    text.clear();
    append_fields_v1(text, entry.fields);
    assign(set_field(arena, item, Entry::f_fieldsV1), Value::of_text(arena.copy(text), ValueKind::raw));
    put(Entry::f_subresource, entry.subresource);
    append(arena, list, item);
  }
  assign(set_field(arena, metadata, ObjectMeta::f_managedFields), list);
}

void update_managed_fields(Arena& arena, const Kind& kind, Value& new_object, const Value* old_object,
                           const ManagedFieldsRequest& request) {
  const int metadata = metadata_field(*kind.type);
  if (metadata < 0) return;
  own_cells(arena, new_object);
  Value* new_meta = new_object.get(metadata);
  if (new_meta) own_cells(arena, *new_meta);
  const Value* old_meta = old_object ? old_object->get(metadata) : nullptr;
  auto entries = present_entries(arena, new_meta, old_meta, !request.subresource.empty());
  if (new_meta) erase_field(*new_meta, ObjectMeta::f_managedFields);
  // An object that was stored without entries stays without, until it is applied.
  if (entries.empty() && old_meta && !ObjectMeta(old_meta).uid().empty()) return;

  auto updated = Updater(arena, kind, new_object, old_object, request).update(std::move(entries));
  if (!updated || updated->empty()) return;
  encode_managed_fields(arena, ensure(arena, new_object, metadata), std::move(*updated));
}

bool are_managed_fields_valid(const Value& metadata) {
  Arena arena;
  return decode_managed_fields(arena, metadata).has_value();
}

namespace {

bool same_entry_but_time(const Value& a, const Value& b) {
  const auto as = a.children(), bs = b.children();
  auto next = [](std::span<const Value> fields, std::size_t& at) -> const Value* {
    while (at < fields.size() && fields[at].field == Entry::f_time) ++at;
    return at < fields.size() ? &fields[at++] : nullptr;
  };
  std::size_t i = 0, j = 0;
  while (true) {
    const Value *x = next(as, i), *y = next(bs, j);
    if (!x || !y) return x == y;
    if (x->field != y->field || !equal(*x, *y)) return false;
  }
}

// Equal apart from the child `except`.
bool same_but(const Value& a, const Value& b, int except) {
  const auto as = a.children(), bs = b.children();
  if (as.size() != bs.size()) return false;
  for (std::size_t i = 0; i < as.size(); ++i) {
    if (as[i].field != bs[i].field) return false;
    if (as[i].field != except && !equal(as[i], bs[i])) return false;
  }
  return true;
}

}  // namespace

void keep_managed_fields_times(Arena& arena, const Kind& kind, Value& new_object, const Value& old_object) {
  const int metadata = metadata_field(*kind.type);
  if (metadata < 0) return;
  const Value* new_meta = new_object.get(metadata);
  const Value* old_meta = old_object.get(metadata);
  if (!new_meta || !old_meta) return;
  const Value* fresh = new_meta->get(ObjectMeta::f_managedFields);
  const Value* old = old_meta->get(ObjectMeta::f_managedFields);
  if (!fresh || !old || fresh->size != old->size || equal(*fresh, *old)) return;
  for (std::uint32_t i = 0; i < old->size; ++i)
    if (!same_entry_but_time(fresh->items[i], old->items[i])) return;
  if (!same_but(*new_meta, *old_meta, ObjectMeta::f_managedFields) ||
      !same_but(new_object, old_object, metadata))
    return;
  own_cells(arena, new_object);
  own_cells(arena, *new_object.get(metadata));
  take_field(arena, *new_object.get(metadata), *old_meta, ObjectMeta::f_managedFields);
}

std::string manager_from_user_agent(std::string_view user_agent) {
  user_agent = user_agent.substr(0, user_agent.find('/'));
  std::string out;
  while (!user_agent.empty()) {
    const Rune rune = decode_rune(user_agent);
    user_agent.remove_prefix(rune.width);
    const bool is_printable =
        rune.value >= 0x20 && rune.value != 0x7F && !(rune.value >= 0x80 && rune.value < 0xA0);
    if (!is_printable) continue;
    std::string text;
    append_utf8(text, rune.value);
    if (out.size() + text.size() > max_manager_bytes) break;
    out += text;
  }
  return out;
}

}  // namespace rusternetes::apimachinery
