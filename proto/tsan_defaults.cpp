// What ThreadSanitizer cannot judge. The packaged gRPC (with upb), protobuf and Abseil are not
// instrumented, so the order that they establish between threads is invisible: a message written by
// one of their threads and read in a reaction looks like a race, and so does an object that is
// created before its first reaction. What they do with memory is not looked at, and of what is left
// only reports with one of their frames are silenced, which alone would take minutes for megabytes.

extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }

extern "C" const char* __tsan_default_suppressions() {
  return "race:libgrpc\n"
         "race:libgpr.so\n"
         "race:libupb\n"
         "race:libprotobuf\n"
         "race:libabsl\n"
         "race:grpc::\n"
         "race:google::protobuf\n";
}
