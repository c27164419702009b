// The booking protocol's own examples, as they stand there, except that the base URL comes from the
// environment, that what surrounds them (the page, the two hooks) is handed in, and that what they
// define or would render is returned.
import { io } from 'socket.io-client';

export const clientWith = ({ localStorage, displayMessage, currentUserId, alert, bookingId: booked }) => {
  // Connect with authentication
  const socket = io(process.env.CHAT_URL, {
    auth: { token: localStorage.getItem('token') }
  });

  // Handle connection
  socket.on('connect', () => {
    console.log('Connected!');

    // Join a booking conversation
    const bookingId = booked;
    socket.emit('joinBooking', bookingId);
  });

  // Listen for new messages
  socket.on('newMessage', (message) => {
    console.log(`New message from ${message.sender.name}: ${message.content}`);

    // Display in UI
    displayMessage(message);

    // Mark as read if not sent by current user
    if (message.sender._id !== currentUserId) {
      socket.emit('markAsRead', { messageIds: [message._id] });
    }
  });

  // Send a message
  function sendMessage(bookingId, content, senderType) {
    socket.emit('sendMessage', {
      bookingId,
      content,
      senderType
    });
  }

  // Handle errors
  socket.on('error', (error) => {
    console.error('Error:', error.message);
    alert(error.message);
  });

  // Handle disconnection
  socket.on('disconnect', () => {
    console.log('Disconnected');
  });

  return { socket, sendMessage };
};

export const componentWith = ({ useEffect, useState, localStorage }) => {
  function ChatComponent({ bookingId, userType }) {
    const [socket, setSocket] = useState(null);
    const [messages, setMessages] = useState([]);
    const [messageInput, setMessageInput] = useState('');

    useEffect(() => {
      // Connect to WebSocket
      const newSocket = io(process.env.CHAT_URL, {
        auth: { token: localStorage.getItem('token') }
      });

      newSocket.on('connect', () => {
        console.log('Connected to chat');
        newSocket.emit('joinBooking', bookingId);
      });

      newSocket.on('newMessage', (message) => {
        setMessages(prev => [...prev, message]);
      });

      newSocket.on('error', (error) => {
        console.error('Chat error:', error.message);
      });

      setSocket(newSocket);

      return () => newSocket.close();
    }, [bookingId]);

    const sendMessage = () => {
      if (messageInput.trim() && socket) {
        socket.emit('sendMessage', {
          bookingId,
          content: messageInput,
          senderType: userType
        });
        setMessageInput('');
      }
    };

    return { socket, messages, setMessageInput, sendMessage };
  }
  return ChatComponent;
};
