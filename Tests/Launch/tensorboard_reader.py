"""What TensorBoard's own reader finds in a folder, as JSON: `python tensorboard_reader.py FOLDER`."""

import hashlib
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

reader = EventAccumulator(sys.argv[1], size_guidance=dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0))
reader.Reload()
tags = reader.Tags()


def histogram(event):
    value = event.histogram_value
    return [event.step, value.min, value.max, value.num, value.sum, value.sum_squares, value.bucket_limit, value.bucket]


def image(event):
    return [event.step, event.width, event.height, hashlib.sha256(event.encoded_image_string).hexdigest()]


def hyperparameters():
    try:
        contents = reader.PluginTagToContent("hparams")
    except KeyError:
        return {}
    start = plugin_data_pb2.HParamsPluginData.FromString(contents["_hparams_/session_start_info"]).session_start_info
    found = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    if "_hparams_/session_end_info" in contents:
        end = plugin_data_pb2.HParamsPluginData.FromString(contents["_hparams_/session_end_info"]).session_end_info
        found["(end)"] = end.status
    return found


json.dump({
    "scalars": {tag: [[event.step, event.value] for event in reader.Scalars(tag)] for tag in tags["scalars"]},
    "images": {tag: [image(event) for event in reader.Images(tag)] for tag in tags["images"]},
    "histograms": {tag: [histogram(event) for event in reader.Histograms(tag)] for tag in tags["histograms"]},
    "tensors": {tag: [event.step for event in reader.Tensors(tag)] for tag in tags["tensors"]},
    "hyperparameters": hyperparameters(),
}, sys.stdout)
