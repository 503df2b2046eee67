#pragma once
// Owner references, selectors and names, as controllers need them.

#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/label_selector.h"
#include "client/informer.h"

namespace rusternetes::controller_manager {

using apimachinery::Document;

apimachinery::meta_v1::ObjectMeta metadata_of(const Document& object);
// The owner reference with controller: true; empty when there is none.
apimachinery::meta_v1::OwnerReference controller_of(const apimachinery::meta_v1::ObjectMeta& metadata);
// Adds an owner reference that makes `owner` the controller, blocking its deletion.
void append_controller_reference(apimachinery::Arena& arena, apimachinery::Value& metadata, const Document& owner,
                                 std::string_view api_version, std::string_view kind);
// A selector object's matcher; matches nothing when it is not valid.
apimachinery::LabelSelector selector_of(const apimachinery::meta_v1::LabelSelector& selector);
bool selects(const apimachinery::LabelSelector& selector, const apimachinery::meta_v1::ObjectMeta& metadata);
// "namespace/name", or the name alone: an informer's key.
std::string key_of(std::string_view name_space, std::string_view name);
// {namespace, name} of an informer key.
std::pair<std::string, std::string> split_key(std::string_view key);
bool is_pod_ready(const apimachinery::core_v1::Pod& pod);
// Neither Succeeded nor Failed nor being deleted.
bool is_pod_active(const apimachinery::core_v1::Pod& pod);

}  // namespace rusternetes::controller_manager
