"""The grammar, on 62 instructions that it reads and 33 that it must refuse."""

import pytest

from vp_jax.edit.instruction import parse_instruction
from vp_jax.errors import UserError

READ = [
    # swap
    ("make the dog a fox", "swap", "the dog", "a fox"),
    ("Make the dog a fox.", "swap", "the dog", "a fox"),
    ("make the old dog into a young fox", "swap", "the old dog", "a young fox"),
    ("turn the dog into a fox", "swap", "the dog", "a fox"),
    ("please turn the car into a red sports car", "swap", "the car", "a red sports car"),
    ("transform the bus to an elephant", "swap", "the bus", "an elephant"),
    ("convert my bicycle into a motorcycle", "swap", "my bicycle", "a motorcycle"),
    ("change the dog to a fox", "swap", "the dog", "a fox"),
    ("change the cat into dog", "swap", "the cat", "a dog"),
    ("replace the cup with a glass of water", "swap", "the cup", "a glass of water"),
    ("Replace the man's hat by a crown!", "swap", "the man's hat", "a crown"),
    ("replace the horses with zebras", "swap", "the horses", "zebras"),
    ("swap the apple for an orange", "swap", "the apple", "an orange"),
    ("swap the red circle with a blue star", "swap", "the red circle", "a blue star"),
    ("exchange the sofa for a bench", "swap", "the sofa", "a bench"),
    ("substitute a wolf for the sheep", "swap", "the sheep", "a wolf"),
    ("switch the truck to a tractor", "swap", "the truck", "a tractor"),
    ("make the woman look like a robot", "swap", "the woman", "a robot"),
    ("can you turn the pigeon into an eagle?", "swap", "the pigeon", "an eagle"),
    ("replace dog with fox", "swap", "dog", "a fox"),
    ("turn the lake into sand", "swap", "the lake", "sand"),
    ("replace the boat in the video with a swan", "swap", "the boat in the video", "a swan"),
    # change
    ("make the car blue", "change", "the car", "a blue car"),
    ("make the red car blue", "change", "the red car", "a blue car"),
    ("make the red striped car dark green", "change", "the red striped car", "a dark green striped car"),
    ("turn the car yellow", "change", "the car", "a yellow car"),
    ("paint the wall green", "change", "the wall", "a green wall"),
    ("paint the old wooden door in white", "change", "the old wooden door", "an old white wooden door"),
    ("recolor the shoes purple", "change", "the shoes", "purple shoes"),
    ("colour the sky orange", "change", "the sky", "an orange sky"),
    ("dye her hair pink", "change", "her hair", "pink hair"),
    ("change the color of the shirt to red", "change", "the shirt", "a red shirt"),
    (
        "change the colour of the white shirt from white to light blue",
        "change",
        "the white shirt",
        "a light blue shirt",
    ),
    ("change the car's color to black", "change", "the car", "a black car"),
    ("change the umbrella from red to yellow", "change", "the umbrella", "a yellow umbrella"),
    ("change the umbrella to orange", "change", "the umbrella", "an orange umbrella"),
    ("make the square striped", "change", "the square", "a striped square"),
    ("make the flag red and white", "change", "the flag", "a red and white flag"),
    ("make the table wooden", "change", "the table", "a wooden table"),
    ("make the man look old", "change", "the man", "an old man"),
    ("make the statue golden, please", "change", "the statue", "a golden statue"),
    ("I want you to make the car on the left blue", "change", "the car on the left", "a blue car on the left"),
    ("turn the statue into marble", "change", "the statue", "a marble statue"),
    ("make the dog bigger", "change", "the dog", "a bigger dog"),
    # remove
    ("remove the dog", "remove", "the dog", ""),
    ("Please remove the person in the red jacket.", "remove", "the person in the red jacket", ""),
    ("delete the logo from the video", "remove", "the logo", ""),
    ("erase the cup from the table", "remove", "the cup", ""),
    ("get rid of the power lines", "remove", "the power lines", ""),
    ("take the bird away", "remove", "the bird", ""),
    ("take out the trash can", "remove", "the trash can", ""),
    ("make the car disappear", "remove", "the car", ""),
    ("could you eliminate the yellow spotted square", "remove", "the yellow spotted square", ""),
    ("let's delete the microphone", "remove", "the microphone", ""),
    # add
    ("add a hat", "add", "", "a hat"),
    ("add a bird to the scene", "add", "", "a bird"),
    ("add a red hat to the man", "add", "the man", "a red hat"),
    ("put a crown on the king's head", "add", "the king's head", "a crown"),
    ("place a lamp next to the sofa", "add", "the sofa", "a lamp"),
    ("insert flowers into the vase", "add", "the vase", "flowers"),
    ("give the cat a pair of sunglasses", "add", "the cat", "a pair of sunglasses"),
    ("draw a heart on the wall", "add", "the wall", "a heart"),
]

REFUSED = [
    ("", "empty"),
    ("   ", "empty"),
    ("x" * 301, "at most 300"),
    ("make it blue", "'it'"),
    ("remove it", "'it'"),
    ("remove everything", "'everything'"),
    ("turn him into a robot", "'him'"),
    ("remove the dog and add a cat", "several edits"),
    ("make the car blue, then remove the man", "several edits"),
    ("remove the dog. Add a cat.", "several edits"),
    ("remove the dog and the cat", "several things"),
    ("swap the dog and the cat", "what takes the place"),
    ("don't remove the dog", "what not to do"),
    ("do not touch the car", "what not to do"),
    ("never mind", "what not to do"),
    ("what is in the video?", "question"),
    ("is there a dog?", "question"),
    ("how do I remove the dog", "question"),
    ("remove", "expected make X Y"),
    ("remove the", "does not say what"),
    ("add", "expected make X Y"),
    ("replace the dog", "what takes the place"),
    ("change the dog", "into what"),
    ("make the dog", "not clear what X becomes"),
    ("make the dog run faster", "not clear what X becomes"),
    ("make the video black and white", "picture as a whole"),
    ("turn the scene into a painting", "picture as a whole"),
    ("change the background to a beach", "picture as a whole"),
    ("slow down", "expected make X Y"),
    ("remov the dog", "did you mean 'remove the dog'"),
    ("replce the dog with a fox", "did you mean 'replace the dog with a fox'"),
    ("mach den Hund rot", r"add Y to X \(in English\)"),
    ("把狗变成狐狸", r"add Y to X \(in English\)"),
    ("zoom in on the dog", "expected make X Y"),
    ("paint the wall", "which colour"),
    ("the dog is now a fox", "expected make X Y"),
    ("remove the dog\x1b[2J", "control characters"),
]


@pytest.mark.parametrize("text, operation, target, result", READ, ids=[line[0] for line in READ])
def test_it_reads(text, operation, target, result):
    found = parse_instruction(text)
    assert (found.operation, found.target, found.result) == (operation, target, result)


@pytest.mark.parametrize("text, why", REFUSED, ids=[line[0][:40].replace("\x1b", "ESC") for line in REFUSED])
def test_it_refuses_with_a_reason_and_a_way_out(text, why):
    with pytest.raises(UserError, match=why) as caught:
        parse_instruction(text)
    assert "\x1b" not in str(caught.value) and str(caught.value).startswith("instruction")


def test_an_addition_says_where_it_goes():
    assert parse_instruction("put a crown on the king's head").place == "on the king's head"
    assert parse_instruction("add a bird").place == ""
