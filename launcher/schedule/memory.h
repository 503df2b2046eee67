#pragma once
// Where a schedule's memory is kept between two runs.

#include "launcher/home.h"
#include "launcher/schedule/schedule.h"

namespace rusternetes::launcher {

// Without a file, or with one that does not parse: as if nothing had been tried.
ScheduleMemory read_memory(const ClusterPaths& paths);
Result<> write_memory(const ClusterPaths& paths, const ScheduleMemory& memory);

// When each scheduled snapshot that the home keeps of the cluster was begun.
Result<std::vector<SystemTime>> scheduled_times(const Home& home, const std::string& cluster);

}  // namespace rusternetes::launcher
