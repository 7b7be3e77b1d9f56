"""A client in another language, generated from the same proto."""

import threading
import unittest

from harness import Daemon  # also puts the generated stubs on the path

import grpc
from forge.v1 import forge_pb2 as pb
from forge.v1 import forge_pb2_grpc


def turn(**fields):
    sampling = pb.SamplingOptions(temperature=0)
    return pb.GenerateRequest(turn=pb.GenerateRequest.Turn(sampling=sampling, **fields))


def chat(content):
    return pb.ChatMessages(messages=[pb.ChatMessage(role="user", content=content)])


class Conversation:
    """Sends one turn at a time and collects its events."""

    def __init__(self, stub):
        self.requests = []
        self.wake = threading.Semaphore(0)
        self.stream = stub.Generate(self.feed())

    def feed(self):
        while True:
            self.wake.acquire()
            request = self.requests.pop(0)
            if request is None:
                return
            yield request

    def send(self, request):
        self.requests.append(request)
        self.wake.release()

    def ask(self, request):
        self.send(request)
        events = []
        for event in self.stream:
            events.append(event)
            if event.HasField("finished"):
                break
        return events


class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().__enter__()
        channel = grpc.insecure_channel(cls.daemon.address,
                                        options=[("grpc.default_authority", "localhost")])
        cls.channel = channel
        cls.stub = forge_pb2_grpc.ForgeServiceStub(channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.daemon.__exit__()

    def load(self):
        start = pb.LoadModelRequest(start=pb.LoadModelRequest.Start(model="demo"))
        return list(self.stub.LoadModel(iter([start])))

    def test_loads_with_progress_and_generates(self):
        responses = self.load()
        self.assertTrue(responses[-1].HasField("ready"))
        self.assertEqual(pb.MODEL_STATE_READY, responses[-1].ready.state)
        events = list(self.stub.Generate(iter([turn(model="demo", chat=chat("Hello!"), max_tokens=8)])))
        self.assertTrue(events[-1].HasField("finished"))
        self.assertGreater(events[-1].finished.usage.prompt_tokens, 0)

    def test_continues_a_conversation_on_the_same_cache(self):
        self.load()
        conversation = Conversation(self.stub)
        first = conversation.ask(turn(model="demo", chat=chat("Tell me a story about a fox.")))
        second = conversation.ask(turn(chat=chat("Tell me another one.")))
        conversation.send(None)
        used = first[-1].finished.usage
        again = second[-1].finished.usage
        # The last token of an answer is computed with the next turn.
        self.assertIn(used.context_used - again.cached_tokens, (0, 1))
        self.assertLess(again.prompt_tokens, used.context_used)
        self.assertGreater(again.output_tokens, 0)

    def test_continuing_gives_what_the_whole_conversation_gives(self):
        self.load()
        conversation = Conversation(self.stub)
        first = conversation.ask(turn(model="demo", chat=chat("Who are you?")))
        text = "".join(e.token.text for e in first) + first[-1].finished.text
        second = conversation.ask(turn(chat=chat("Thank you!")))
        conversation.send(None)
        whole = chat("Who are you?")
        whole.messages.add(role="assistant", content=text)
        whole.messages.add(role="user", content="Thank you!")
        fresh = list(self.stub.Generate(iter([turn(model="demo", chat=whole)])))
        self.assertEqual([e.token.id for e in fresh if e.HasField("token")],
                         [e.token.id for e in second if e.HasField("token")])

    def test_a_cancelled_turn_leaves_the_conversation_usable(self):
        self.load()
        conversation = Conversation(self.stub)
        conversation.send(turn(model="demo", chat=chat("Tell me a story."), ignore_end_of_text=True))
        for event in conversation.stream:
            if event.HasField("token"):
                break
        conversation.send(pb.GenerateRequest(cancel=pb.GenerateRequest.Cancel()))
        for event in conversation.stream:
            if event.HasField("finished"):
                break
        self.assertEqual(pb.FINISH_REASON_CANCELLED, event.finished.reason)
        after = conversation.ask(turn(chat=chat("Hello!"), max_tokens=5))
        self.assertGreater(after[-1].finished.usage.output_tokens, 0)
        conversation.send(None)

    def test_errors_carry_one_error_info(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.stub.UnloadModel(pb.UnloadModelRequest(model="nothere"))
        metadata = dict(caught.exception.trailing_metadata())
        self.assertIn(b"google.rpc.ErrorInfo", metadata["grpc-status-details-bin"])
        self.assertIn(b"forge.local", metadata["grpc-status-details-bin"])


if __name__ == "__main__":
    unittest.main()
