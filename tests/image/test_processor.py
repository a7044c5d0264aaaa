import pytest

from rakuten.image import processor

VGG16 = ("float32", "bfloat16", "int8")
RESNET50 = ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("supported", "available", "expected"),
    [
        (VGG16, {"avx512_vnni", "amx_bf16"}, "extract.precision=bfloat16 is about four times"),
        (VGG16, {"avx512_vnni", "avx512_bf16"}, "extract.precision=int8 is about three times"),
        (VGG16, {"avx_vnni"}, "extract.precision=int8 is about three times"),
        (RESNET50, {"avx512_vnni", "avx512_bf16"}, "extract.precision=bfloat16 is about two times"),
        (RESNET50, {"avx512_vnni"}, ""),
        (VGG16, {"avx2", "avx512f"}, ""),
        (VGG16, (), ""),
    ],
)
def test_the_fastest_precision_of_the_processor_is_suggested(supported, available, expected):
    found = processor.hint("float32", supported, available)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_chosen_precision_is_left_alone(precision):
    assert not processor.hint(precision, VGG16, {"amx_bf16"})


def test_instruction_sets_are_those_that_linux_lists(tmp_path):
    path = tmp_path / "cpuinfo"
    assert processor.instruction_sets(path) == frozenset()
    path.write_text("processor : 0\nflags\t\t: fpu avx2 avx512_vnni\n\nflags : fpu\n")
    assert processor.instruction_sets(path) == {"fpu", "avx2", "avx512_vnni"}
    path.write_text("processor : 0\nFeatures : asimd\n")
    assert processor.instruction_sets(path) == frozenset()
