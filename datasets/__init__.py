import os

# TensorFlow tells of libraries for GPUs at every import; what devices there are, `zoo.devices` says in one line.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
