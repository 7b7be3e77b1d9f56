#include "kernels/hip/plugin.h"

// What libforge-hip.so exports, and all that it does.
extern "C" __attribute__((visibility("default"))) const forge::HipPlugin* forge_hip_plugin();
extern "C" const forge::HipPlugin* forge_hip_plugin() { return &forge::ThisHipPlugin(); }
