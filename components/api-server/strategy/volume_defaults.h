#pragma once
// Defaults of the sources that Volumes and PersistentVolumes share.

#include "apimachinery/value.h"

namespace rusternetes::api_server {

void set_volume_defaults(apimachinery::Arena& arena, apimachinery::Value& volume);
void set_host_path_defaults(apimachinery::Arena& arena, apimachinery::Value& source);
void set_azure_disk_defaults(apimachinery::Arena& arena, apimachinery::Value& source);
void set_field_reference_defaults(apimachinery::Arena& arena, apimachinery::Value& reference);

}  // namespace rusternetes::api_server
