"""Runs inside the emulated Python: one engine, one frame twice, the second between marks. Needs NumPy and the engine.

python rival_guest.py ENGINE SOURCE FRAME.npy OUTPUT,...
"""

import ctypes
import sys

import numpy as np

MARK = 0x66676D6B  # as in counter.c
HALF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed")


def ort(source, frame, outputs):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(outputs, {name: frame})


def ncnn(source, frame, outputs):
    import ncnn as engine

    net = engine.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = 1, False
    for option in HALF:
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    if net.load_param(f"{source}/net.ncnn.param") or net.load_model(f"{source}/net.ncnn.bin"):
        sys.exit(f"ncnn cannot load {source}")

    def run():
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], engine.Mat(frame[0]))
        return [np.array(extractor.extract(name)[1], copy=False) for name in net.output_names()]

    return run


def mnn(source, frame, outputs):
    import MNN

    interpreter = MNN.Interpreter(source)
    session = interpreter.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
    image, found = interpreter.getSessionInput(session), interpreter.getSessionOutputAll(session)

    def host(array):
        return MNN.Tensor(array.shape, MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe)

    arrays = [np.zeros(found[name].getShape(), np.float32) for name in outputs]
    tensors = [host(array) for array in arrays]

    def run():
        image.copyFrom(host(frame))
        interpreter.runSession(session)
        for name, tensor in zip(outputs, tensors):  # noqa: B905 (as old a Python as may be)
            found[name].copyToHostTensor(tensor)
        return arrays

    return run


def litert(source, frame, outputs):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(source, num_threads=1)
    interpreter.allocate_tensors()
    image = interpreter.get_input_details()[0]
    fits = tuple(image["shape"]) == frame.shape
    given = frame if fits else np.ascontiguousarray(frame.transpose(0, 2, 3, 1))
    found = [each["index"] for each in interpreter.get_output_details()]

    def run():
        interpreter.set_tensor(image["index"], given)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in found]

    return run


def main():
    engine, source, frame, outputs = sys.argv[1:]
    run = {"ort": ort, "ncnn": ncnn, "mnn": mnn, "litert": litert}[engine](source, np.load(frame), outputs.split(","))
    library = ctypes.CDLL(None)
    run()
    library.prctl(MARK, 1, 0, 0, 0)
    run()
    library.prctl(MARK, 0, 0, 0, 0)


main()
